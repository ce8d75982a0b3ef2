<?php
/**
 * Tools for users.
 */

namespace A;

/** A store. */
final class Store extends Base
{
    const X = 1;

    /**
     * Finds one.
     */
    #[Pure]
    public function find(string $key): array
    {
        return lookup($key) + $this->run() + self::go();
    }

    private function hidden() {}
}

function top() { new Thing(); }
