defmodule Shapes.Circle do
  @pi 3

  # The area of a circle.
  def area(r) do
    square(r) * @pi
  end

  defp square(r), do: r * r
end
