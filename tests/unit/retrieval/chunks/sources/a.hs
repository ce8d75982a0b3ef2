module Shapes where

-- | The area of a circle.
area :: Double -> Double
area r
  | r < 0 = 0
  | otherwise = pi * square r
  where square x = x * x

data Shape = Circle Double
           | Square Double
  deriving Show
