package shapes

/** A shape. */
data class Shape(val r: Double) : Base() {
    /** The area. */
    fun area(): Double = square(r)

    private fun hidden() {
        run()
    }
}

fun String.shout() = uppercase()
const val LIMIT = 3
