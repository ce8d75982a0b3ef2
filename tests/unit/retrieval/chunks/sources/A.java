/* Licensed under the Apache License */
package a.b;

import java.util.List;

/**
 * A store of things.
 */
@Component
public class A<T> extends B {
    private int x;
    public A() { super(); }

    /** Finds one. */
    @Override
    public List<T> find(String key) throws IOException {
        return new Finder(key).run();
    }

    int hidden() { return 1; }

    interface I { void z(); }
}
