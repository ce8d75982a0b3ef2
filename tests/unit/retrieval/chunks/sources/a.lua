-- The area of a circle.
local function area(r)
  return math.pow(r, 2)
end

function Shape:size()
  return area(self.r)
end
