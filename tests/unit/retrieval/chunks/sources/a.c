#include <stdio.h>
#define MAX 10
#define SQ(x) ((x)*(x))

/* A point. */
struct point { int x; int y; };
typedef struct { int b; } Box;

/* Adds two numbers. */
int add(int a,
        int b)
{
    return plus(a, b);
}

static char *name(struct point *p) { return p->get(); }
int proto(int);
