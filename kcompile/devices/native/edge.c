/* One edge as a device: terminals source and destination, and a gate where there is one.
 *
 * Instance parameters w [A], a, b [1/V], c; the model card's phi says which nonlinearity. */

#include "devices.h"

enum { SOURCE, DESTINATION, GATE, MOST_TERMINALS };
enum { MFACTOR, W, A, B, C, INSTANCE_PARAMETERS, PHI = INSTANCE_PARAMETERS, PARAMETERS };

typedef struct {
    double value[INSTANCE_PARAMETERS];
    uint32_t given;
    uint32_t node[MOST_TERMINALS];
    double *entry[4]; /* the order of ``entries`` */
    Stamp stamp;
} Edge;

typedef struct {
    int32_t phi;
} Card;

static const double DEFAULTS[INSTANCE_PARAMETERS] = {1.0, 1.0, 1.0, -1.0, 0.0};

static char *parameter_names[] = {"$mfactor", "w", "a", "b", "c", "phi"};

static const OsdiParameter parameters[PARAMETERS] = {
    {&parameter_names[MFACTOR], 0, "multiplier", "", PARAMETER_REAL | PARAMETER_OF_INSTANCE, 0},
    {&parameter_names[W], 0, "current at phi = 1", "A", PARAMETER_REAL | PARAMETER_OF_INSTANCE, 0},
    {&parameter_names[A], 0, "of the source's voltage", "1/V",
     PARAMETER_REAL | PARAMETER_OF_INSTANCE, 0},
    {&parameter_names[B], 0, "of the destination's voltage", "1/V",
     PARAMETER_REAL | PARAMETER_OF_INSTANCE, 0},
    {&parameter_names[C], 0, "the argument's constant", "", PARAMETER_REAL | PARAMETER_OF_INSTANCE,
     0},
    {&parameter_names[PHI], 0, "0 relu, 1 tanh, 2 leaky relu, 3 identity", "", PARAMETER_INTEGER,
     0},
};

/* The diagonal first: a device with the diagonal Jacobian has only those two. */
static const OsdiEntry entries[] = {
    {SOURCE, SOURCE, OSDI_NONE, ENTRY_RESISTIVE},
    {DESTINATION, DESTINATION, OSDI_NONE, ENTRY_RESISTIVE},
    {SOURCE, DESTINATION, OSDI_NONE, ENTRY_RESISTIVE},
    {DESTINATION, SOURCE, OSDI_NONE, ENTRY_RESISTIVE},
};

static OsdiNode nodes[MOST_TERMINALS];

static void *access(void *instance, void *model, uint32_t parameter, uint32_t flags) {
    Edge *edge = instance;
    if (parameter == PHI) return &((Card *)model)->phi;
    if (parameter > PHI || instance == NULL || !(flags & ACCESS_INSTANCE)) return NULL;
    if (flags & 1) edge->given |= 1u << parameter;
    return &edge->value[parameter];
}

static void setup_instance(void *handle, void *instance, void *model, double temperature,
                           uint32_t terminals, OsdiSimulatorParameters *simulator,
                           OsdiSetup *setup) {
    Edge *edge = instance;
    (void)handle, (void)model, (void)temperature, (void)terminals, (void)simulator;
    setup_done(setup);
    for (int k = 0; k < INSTANCE_PARAMETERS; ++k)
        if (!(edge->given >> k & 1)) edge->value[k] = DEFAULTS[k];
}

static uint32_t evaluate(Edge *edge, const Card *card, const OsdiSimulation *simulation,
                         double gate) {
    const double *p = edge->value, *v = simulation->voltages;
    const Stamp nothing = {0.0, 0.0, 0.0};
    if (card->phi < 0 || card->phi >= PHI_COUNT) return EVAL_FATAL;
    if (edge->node[SOURCE] == edge->node[DESTINATION]) { /* what it takes it gives back */
        edge->stamp = nothing;
        return EVAL_DONE;
    }
    edge->stamp = edge_stamp((Phi)card->phi, gate * p[MFACTOR] * p[W], p[A], p[B], p[C],
                             v[edge->node[SOURCE]], v[edge->node[DESTINATION]]);
    return EVAL_DONE;
}

static uint32_t eval(void *handle, void *instance, const void *model, const OsdiSimulation *s) {
    (void)handle;
    return evaluate(instance, model, s, 1.0);
}

static uint32_t eval_gated(void *handle, void *instance, const void *model,
                           const OsdiSimulation *s) {
    Edge *edge = instance;
    (void)handle;
    return evaluate(edge, model, s, s->voltages[edge->node[GATE]]);
}

static void load_residual(void *instance, void *model, double *residual) {
    const Edge *edge = instance;
    (void)model;
    residual[edge->node[SOURCE]] += edge->stamp.current;
    residual[edge->node[DESTINATION]] -= edge->stamp.current;
}

static void rhs_full(void *instance, void *model, double *rhs, double *v) {
    const Edge *edge = instance;
    const uint32_t s = edge->node[SOURCE], d = edge->node[DESTINATION];
    const double linear = edge->stamp.by_high * v[s] + edge->stamp.by_low * v[d];
    (void)model;
    rhs[s] += linear - edge->stamp.current;
    rhs[d] -= linear - edge->stamp.current;
}

static void rhs_diagonal(void *instance, void *model, double *rhs, double *v) {
    const Edge *edge = instance;
    const uint32_t s = edge->node[SOURCE], d = edge->node[DESTINATION];
    (void)model;
    rhs[s] += edge->stamp.by_high * v[s] - edge->stamp.current;
    rhs[d] -= edge->stamp.by_low * v[d] - edge->stamp.current;
}

static void rhs_full_transient(void *instance, void *model, double *rhs, double *v, double alpha) {
    (void)alpha;
    rhs_full(instance, model, rhs, v);
}

static void rhs_diagonal_transient(void *instance, void *model, double *rhs, double *v,
                                   double alpha) {
    (void)alpha;
    rhs_diagonal(instance, model, rhs, v);
}

static void jacobian_diagonal(void *instance, void *model) {
    Edge *edge = instance;
    (void)model;
    *edge->entry[0] += edge->stamp.by_high;
    *edge->entry[1] -= edge->stamp.by_low;
}

static void jacobian_full(void *instance, void *model) {
    Edge *edge = instance;
    jacobian_diagonal(instance, model);
    *edge->entry[2] += edge->stamp.by_low;
    *edge->entry[3] -= edge->stamp.by_high;
}

static void jacobian_full_transient(void *instance, void *model, double alpha) {
    (void)alpha;
    jacobian_full(instance, model);
}

static void jacobian_diagonal_transient(void *instance, void *model, double alpha) {
    (void)alpha;
    jacobian_diagonal(instance, model);
}

static OsdiDescriptor describe(const char *name, bool diagonal, bool gated) {
    OsdiDescriptor d = {0};
    fill_common(&d);
    d.name = name;
    d.nodes = d.terminals = gated ? 3 : 2;
    d.node = nodes;
    d.entries = diagonal ? 2 : 4;
    d.entry = entries;
    d.parameters = PARAMETERS;
    d.instance_parameters = INSTANCE_PARAMETERS;
    d.parameter = parameters;
    d.node_mapping_offset = offsetof(Edge, node);
    d.entry_pointers_offset = offsetof(Edge, entry);
    d.instance_size = sizeof(Edge);
    d.model_size = sizeof(Card);
    d.access = access;
    d.setup_instance = setup_instance;
    d.eval = gated ? eval_gated : eval;
    d.load_residual_resistive = load_residual;
    d.load_rhs_dc = diagonal ? rhs_diagonal : rhs_full;
    d.load_rhs_transient = diagonal ? rhs_diagonal_transient : rhs_full_transient;
    d.load_jacobian_resistive = diagonal ? jacobian_diagonal : jacobian_full;
    d.load_jacobian_transient = diagonal ? jacobian_diagonal_transient : jacobian_full_transient;
    return d;
}

uint32_t edge_devices(OsdiDescriptor *descriptors) {
    nodes[SOURCE] = terminal("s");
    nodes[DESTINATION] = terminal("d");
    nodes[GATE] = terminal("gate");
    descriptors[0] = describe("kc_edge", false, false);
    descriptors[1] = describe("kc_edge_diagonal", true, false);
    descriptors[2] = describe("kc_edge_gated", false, true);
    descriptors[3] = describe("kc_edge_gated_diagonal", true, true);
    return EDGE_DEVICES;
}
