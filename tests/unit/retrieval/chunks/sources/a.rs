//! Shapes and their areas.

use std::f64;

/// A circle.
///
/// Its radius is in metres.
#[derive(Debug)]
pub struct Circle { pub r: f64 }

impl Circle {
    /// The area.
    #[inline]
    pub fn area(&self) -> f64 { square(self.r) * f64::consts::PI }
    fn hidden(&self) { println!("x"); }
}

impl Shape for Circle {
    fn size(&self) -> f64 { self.area() }
}

pub trait Shape { fn size(&self) -> f64; }
const MAX: u8 = 3;
mod tests { fn t() { super::go::<u8>(); } }
macro_rules! m { () => {} }
