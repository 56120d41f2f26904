/* One pair of nodes as a device: terminals high and low, and a gate where there is one.
 *
 * Its instance parameter k says which pair of the side file it is. */

#include <stdio.h>

#include "devices.h"

enum { HIGH, LOW, GATE, MOST_TERMINALS };
enum { MFACTOR, INDEX, PARAMETERS };

typedef struct {
    double mfactor;
    int32_t index;
    uint32_t given;
    uint32_t node[MOST_TERMINALS];
    double *entry[4];
    Stamp stamp;
} Pair;

typedef struct {
    int32_t nothing;
} Card;

static const LayerData *layer; /* one side file a library */

static char *parameter_names[] = {"$mfactor", "k"};

static const OsdiParameter parameters[PARAMETERS] = {
    {&parameter_names[MFACTOR], 0, "multiplier", "", PARAMETER_REAL | PARAMETER_OF_INSTANCE, 0},
    {&parameter_names[INDEX], 0, "pair of the side file, from 0", "",
     PARAMETER_INTEGER | PARAMETER_OF_INSTANCE, 0},
};

/* The diagonal first: a device with the diagonal Jacobian has only those two. */
static const OsdiEntry entries[] = {
    {HIGH, HIGH, OSDI_NONE, ENTRY_RESISTIVE},
    {LOW, LOW, OSDI_NONE, ENTRY_RESISTIVE},
    {HIGH, LOW, OSDI_NONE, ENTRY_RESISTIVE},
    {LOW, HIGH, OSDI_NONE, ENTRY_RESISTIVE},
};

static OsdiNode nodes[MOST_TERMINALS];

static void *access(void *instance, void *model, uint32_t parameter, uint32_t flags) {
    Pair *pair = instance;
    (void)model;
    if (parameter >= PARAMETERS || pair == NULL || !(flags & ACCESS_INSTANCE)) return NULL;
    if (flags & 1) pair->given |= 1u << parameter;
    return parameter == MFACTOR ? (void *)&pair->mfactor : (void *)&pair->index;
}

static void setup_instance(void *handle, void *instance, void *model, double temperature,
                           uint32_t terminals, OsdiSimulatorParameters *simulator,
                           OsdiSetup *setup) {
    Pair *pair = instance;
    (void)handle, (void)model, (void)temperature, (void)terminals, (void)simulator;
    setup_done(setup);
    if (!(pair->given >> MFACTOR & 1)) pair->mfactor = 1.0;
    if (!(pair->given >> INDEX & 1)) pair->index = -1;
}

static uint32_t eval(void *handle, void *instance, const void *model, const OsdiSimulation *s) {
    Pair *pair = instance;
    const double *v = s->voltages;
    (void)handle, (void)model;
    if (pair->index < 0 || (uint64_t)pair->index >= layer->pairs) {
        fprintf(stderr, "Error: %s has no pair %d\n", layer->name, pair->index);
        return EVAL_FATAL;
    }
    const double gate = layer->gates ? v[pair->node[GATE]] : 1.0;
    const double factor = gate * pair->mfactor;
    pair->stamp =
        pair_stamp(layer, (uint64_t)pair->index, v[pair->node[HIGH]], v[pair->node[LOW]]);
    pair->stamp.current *= factor;
    pair->stamp.by_high *= factor;
    pair->stamp.by_low *= factor;
    return EVAL_DONE;
}

static void load_residual(void *instance, void *model, double *residual) {
    const Pair *pair = instance;
    (void)model;
    residual[pair->node[HIGH]] += pair->stamp.current;
    residual[pair->node[LOW]] -= pair->stamp.current;
}

static void load_rhs(void *instance, void *model, double *rhs, double *v) {
    const Pair *pair = instance;
    const uint32_t high = pair->node[HIGH], low = pair->node[LOW];
    const double by_high = pair->stamp.by_high * v[high], by_low = pair->stamp.by_low * v[low];
    (void)model;
    if (layer->diagonal) {
        rhs[high] += by_high - pair->stamp.current;
        rhs[low] -= by_low - pair->stamp.current;
    } else {
        rhs[high] += by_high + by_low - pair->stamp.current;
        rhs[low] -= by_high + by_low - pair->stamp.current;
    }
}

static void load_rhs_transient(void *instance, void *model, double *rhs, double *v, double alpha) {
    (void)alpha;
    load_rhs(instance, model, rhs, v);
}

static void load_jacobian(void *instance, void *model) {
    Pair *pair = instance;
    (void)model;
    *pair->entry[0] += pair->stamp.by_high;
    *pair->entry[1] -= pair->stamp.by_low;
    if (layer->diagonal) return;
    *pair->entry[2] += pair->stamp.by_low;
    *pair->entry[3] -= pair->stamp.by_high;
}

static void load_jacobian_transient(void *instance, void *model, double alpha) {
    (void)alpha;
    load_jacobian(instance, model);
}

void pair_device(const LayerData *data, OsdiDescriptor *d) {
    layer = data;
    nodes[HIGH] = terminal("high");
    nodes[LOW] = terminal("low");
    nodes[GATE] = terminal("gate");
    fill_common(d);
    d->name = data->name;
    d->nodes = d->terminals = data->gates ? 3 : 2;
    d->node = nodes;
    d->entries = data->diagonal ? 2 : 4;
    d->entry = entries;
    d->parameters = d->instance_parameters = PARAMETERS;
    d->parameter = parameters;
    d->node_mapping_offset = offsetof(Pair, node);
    d->entry_pointers_offset = offsetof(Pair, entry);
    d->instance_size = sizeof(Pair);
    d->model_size = sizeof(Card);
    d->access = access;
    d->setup_instance = setup_instance;
    d->eval = eval;
    d->load_residual_resistive = load_residual;
    d->load_rhs_dc = load_rhs;
    d->load_rhs_transient = load_rhs_transient;
    d->load_jacobian_resistive = load_jacobian;
    d->load_jacobian_transient = load_jacobian_transient;
}
