/* One layer's edges as a side file describes them, and the currents that they carry. */

#ifndef KCOMPILE_LAYER_H
#define KCOMPILE_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { GRAIN_PAIR = 1, GRAIN_LAYER = 2 } Grain;

/* How many voltages multiply the currents: none, one, or one a row. What flows between two nodes
 * belongs to the row of the higher one; a device of one pair has one gate in either case. */
typedef enum { GATES_NONE = 0, GATES_ONE = 1, GATES_ROWS = 2, GATES_KINDS } Gates;

/* The nonlinearities, as side files and model cards number them. */
typedef enum { PHI_RELU = 0, PHI_TANH = 1, PHI_LEAKY_RELU = 2, PHI_IDENTITY = 3, PHI_COUNT } Phi;

/* A pair of nodes and all that flows from its high node to its low one (0: ground). Of v(high) -
 * v(low) it has a piecewise-linear function: kinks knot[knots[k]..knots[k+1]], and one more segment
 * than it has kinks, current = slope*u + offset; beside it edges edge[edges[k]..edges[k+1]], each
 * w*phi(a*v(high) + b*v(low) + c). SI units. */
typedef struct {
    char name[32];
    Grain grain;
    bool diagonal; /* stamp dI/dv of a node's own voltage only */
    Gates gates;   /* the terminals behind the nodes' */
    uint32_t nodes;
    uint64_t pairs;
    uint64_t all_knots;
    uint64_t all_edges;
    const uint32_t *high;  /* [pairs], 1..nodes */
    const uint32_t *low;   /* [pairs], 0..nodes, not high */
    const uint64_t *knots; /* [pairs + 1] */
    const uint64_t *edges; /* [pairs + 1] */
    const double *knot;    /* [all_knots] ascending within a pair */
    const double *slope;   /* [all_knots + pairs] */
    const double *offset;  /* [all_knots + pairs] */
    const double *w, *a, *b, *c; /* [all_edges] */
    const uint8_t *phi;          /* [all_edges] */
    bool linear_only;            /* no edges beside the piecewise-linear functions */
    bool tanh_only;              /* all edges are tanh */
} LayerData;

/* The layer of a side file. On trouble, NULL and one line in ``message``. */
LayerData *layer_read(const char *path, char *message, size_t length);

/* A pair's current out of its high node, and its derivatives by both voltages. */
typedef struct {
    double current, by_high, by_low;
} Stamp;

Stamp pair_stamp(const LayerData *layer, uint64_t pair, double high, double low);

/* Currents out of all nodes and their derivatives.
 *
 * factor    [nodes + 1], what the currents of each row are multiplied by; NULL: 1
 * voltage   [nodes + 1], ground first, 0
 * current   [nodes + 1], written: the sum of the currents out of each node
 * own       [nodes + 1], written: the derivative of that sum by the node's own voltage
 * across    [2*pairs], written where not NULL: dI(high)/dv(low) and dI(low)/dv(high)
 */
void layer_stamp(const LayerData *layer, const double *factor, const double *voltage,
                 double *current, double *own, double *across);

/* w*phi(x): its value and slope by x. */
Stamp edge_stamp(Phi phi, double w, double a, double b, double c, double high, double low);

#endif
