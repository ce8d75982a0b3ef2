# frozen_string_literal: true

# Shapes of all kinds.
module Shapes
  # A circle.
  class Circle < Base
    PI = 3

    # The area.
    def area(r)
      square(r)
    end

    def self.make; new; end
    def _hidden; end
  end
end

def top
  puts "x"
end
