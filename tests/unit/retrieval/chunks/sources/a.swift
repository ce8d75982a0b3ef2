/// A shape.
public struct Shape: Base {
    let r: Double

    /// The area.
    @inlinable
    public func area() -> Double {
        return square(r)
    }
}
