namespace n::m {
/// A shape.
template <class T>
class Shape : public Base {
 public:
  Shape() {}
  ~Shape() {}
  /// The area.
  double area() const { return compute(r_); }
  int size();
 private:
  double r_;
};
}

// Makes a shape.
int Shape::size() { return x.g() + n::h(); }
Shape::Shape(int a) : r_(a) {}
Shape& Shape::operator=(const Shape& o) { return *this; }
auto& ref() { return 1; }
using Id = int;
enum class Color { Red };
