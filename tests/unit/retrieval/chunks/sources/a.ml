(** The area of a circle. *)
let area r =
  let square x = x *. x in
  Float.mul 3.14 (square r)

type t =
  | Circle of float
  | Square of float

module Nested = struct
  (* What it is called. *)
  let name = "(* no comment *)"
end

let limit = 3
