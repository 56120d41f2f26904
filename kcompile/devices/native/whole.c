/* All edges of a layer as one device: its terminals are the layer's nodes 1..N, and behind them the
 * gates where there are any: one for all, or one for the row of each node.
 *
 * What an instance keeps lies behind its struct, for its size is known only when the side file has
 * been read. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

enum { MFACTOR, PARAMETERS };

typedef struct {
    double mfactor;
    uint32_t given;
    double factor; /* multiplier times the gate of all rows */
} Whole;

typedef struct {
    int32_t nothing;
} Card;

/* Where the parts of an instance lie. */
typedef struct {
    size_t node, entry, voltage, gate, current, own, across, size;
} Places;

static const LayerData *layer; /* one side file a library */
static Places places;

static char *parameter_names[] = {"$mfactor"};

static const OsdiParameter parameters[PARAMETERS] = {
    {&parameter_names[MFACTOR], 0, "multiplier", "", PARAMETER_REAL | PARAMETER_OF_INSTANCE, 0},
};

static uint32_t *node_of(void *instance) {
    return (uint32_t *)((char *)instance + places.node);
}

static double **entry_of(void *instance) {
    return (double **)(void *)((char *)instance + places.entry);
}

static double *numbers_of(void *instance, size_t place) {
    return (double *)(void *)((char *)instance + place);
}

static void *access(void *instance, void *model, uint32_t parameter, uint32_t flags) {
    Whole *whole = instance;
    (void)model;
    if (parameter >= PARAMETERS || whole == NULL || !(flags & ACCESS_INSTANCE)) return NULL;
    if (flags & 1) whole->given |= 1u << parameter;
    return &whole->mfactor;
}

static void setup_instance(void *handle, void *instance, void *model, double temperature,
                           uint32_t terminals, OsdiSimulatorParameters *simulator,
                           OsdiSetup *setup) {
    Whole *whole = instance;
    (void)handle, (void)model, (void)temperature, (void)terminals, (void)simulator;
    setup_done(setup);
    if (!(whole->given >> MFACTOR & 1)) whole->mfactor = 1.0;
}

static uint32_t eval(void *handle, void *instance, const void *model, const OsdiSimulation *s) {
    Whole *whole = instance;
    const uint32_t *node = node_of(instance);
    double *voltage = numbers_of(instance, places.voltage);
    (void)handle, (void)model;
    voltage[0] = 0.0;
    for (uint32_t k = 0; k < layer->nodes; ++k) voltage[k + 1] = s->voltages[node[k]];
    const uint32_t *gates = node + layer->nodes;
    double *gate = NULL;
    whole->factor = whole->mfactor * (layer->gates == GATES_ONE ? s->voltages[*gates] : 1.0);
    if (layer->gates == GATES_ROWS) {
        gate = numbers_of(instance, places.gate);
        for (uint32_t k = 0; k < layer->nodes; ++k) gate[k + 1] = s->voltages[gates[k]];
    }
    layer_stamp(layer, gate, voltage, numbers_of(instance, places.current),
                numbers_of(instance, places.own),
                layer->diagonal ? NULL : numbers_of(instance, places.across));
    return EVAL_DONE;
}

static void load_residual(void *instance, void *model, double *residual) {
    const Whole *whole = instance;
    const uint32_t *node = node_of(instance);
    const double *current = numbers_of(instance, places.current);
    (void)model;
    for (uint32_t k = 0; k < layer->nodes; ++k)
        residual[node[k]] += whole->factor * current[k + 1];
}

static void load_rhs(void *instance, void *model, double *rhs, double *v) {
    const Whole *whole = instance;
    const uint32_t *node = node_of(instance);
    const double *current = numbers_of(instance, places.current);
    const double *own = numbers_of(instance, places.own);
    const double factor = whole->factor;
    (void)model;
    for (uint32_t k = 0; k < layer->nodes; ++k)
        rhs[node[k]] += factor * (own[k + 1] * v[node[k]] - current[k + 1]);
    if (layer->diagonal) return;
    const double *across = numbers_of(instance, places.across);
    for (uint64_t k = 0; k < layer->pairs; ++k) {
        if (layer->low[k] == 0) continue;
        const uint32_t high = node[layer->high[k] - 1], low = node[layer->low[k] - 1];
        rhs[high] += factor * across[2 * k] * v[low];
        rhs[low] += factor * across[2 * k + 1] * v[high];
    }
}

static void load_rhs_transient(void *instance, void *model, double *rhs, double *v, double alpha) {
    (void)alpha;
    load_rhs(instance, model, rhs, v);
}

static void load_jacobian(void *instance, void *model) {
    const Whole *whole = instance;
    double **entry = entry_of(instance);
    const double *own = numbers_of(instance, places.own);
    (void)model;
    for (uint32_t k = 0; k < layer->nodes; ++k) **entry++ += whole->factor * own[k + 1];
    if (layer->diagonal) return;
    const double *across = numbers_of(instance, places.across);
    for (uint64_t k = 0; k < layer->pairs; ++k) {
        if (layer->low[k] == 0) continue;
        **entry++ += whole->factor * across[2 * k];
        **entry++ += whole->factor * across[2 * k + 1];
    }
}

static void load_jacobian_transient(void *instance, void *model, double alpha) {
    (void)alpha;
    load_jacobian(instance, model);
}

/* The Jacobian's pattern: all nodes' own entries, then those across each pair. */
static OsdiEntry *make_entries(uint32_t *count) {
    uint64_t number = layer->nodes;
    for (uint64_t k = 0; !layer->diagonal && k < layer->pairs; ++k)
        number += layer->low[k] == 0 ? 0 : 2;
    OsdiEntry *entries = calloc(number, sizeof *entries), *next = entries;
    if (entries == NULL || number > UINT32_MAX) return NULL;
    for (uint32_t k = 0; k < layer->nodes; ++k) {
        const OsdiEntry entry = {k, k, OSDI_NONE, ENTRY_RESISTIVE};
        *next++ = entry;
    }
    for (uint64_t k = 0; !layer->diagonal && k < layer->pairs; ++k) {
        if (layer->low[k] == 0) continue;
        const uint32_t high = layer->high[k] - 1, low = layer->low[k] - 1;
        const OsdiEntry upper = {high, low, OSDI_NONE, ENTRY_RESISTIVE};
        const OsdiEntry lower = {low, high, OSDI_NONE, ENTRY_RESISTIVE};
        *next++ = upper;
        *next++ = lower;
    }
    *count = (uint32_t)number;
    return entries;
}

static OsdiNode *make_nodes(uint32_t count) {
    enum { NAME = 12 };
    OsdiNode *nodes = calloc(count, sizeof *nodes);
    char *names = calloc(count, NAME);
    if (nodes == NULL || names == NULL) return NULL;
    for (uint32_t k = 0; k < count; ++k) {
        const bool gate = k >= layer->nodes;
        snprintf(names + (size_t)k * NAME, NAME, gate ? "gate%u" : "n%u",
                 k + 1 - (gate ? layer->nodes : 0));
        nodes[k] = terminal(names + (size_t)k * NAME);
    }
    return nodes;
}

static size_t place(size_t *end, size_t count, size_t width) {
    const size_t begin = (*end + 7) / 8 * 8;
    *end = begin + count * width;
    return begin;
}

bool whole_device(const LayerData *data, OsdiDescriptor *d) {
    layer = data;
    const uint32_t gates = data->gates == GATES_ROWS ? data->nodes : data->gates == GATES_ONE;
    const uint32_t terminals = data->nodes + gates;
    fill_common(d);
    d->name = data->name;
    d->nodes = d->terminals = terminals;
    d->node = make_nodes(terminals);
    d->entry = make_entries(&d->entries);
    if (d->node == NULL || d->entry == NULL) return false;
    size_t end = sizeof(Whole);
    places.node = place(&end, terminals, sizeof(uint32_t));
    places.entry = place(&end, d->entries, sizeof(double *));
    places.voltage = place(&end, data->nodes + 1, sizeof(double));
    places.gate = place(&end, data->gates == GATES_ROWS ? data->nodes + 1 : 0, sizeof(double));
    places.current = place(&end, data->nodes + 1, sizeof(double));
    places.own = place(&end, data->nodes + 1, sizeof(double));
    places.across = place(&end, data->diagonal ? 0 : 2 * data->pairs, sizeof(double));
    if (end > UINT32_MAX) return false;
    d->node_mapping_offset = (uint32_t)places.node;
    d->entry_pointers_offset = (uint32_t)places.entry;
    d->instance_size = (uint32_t)end;
    d->model_size = sizeof(Card);
    d->parameters = d->instance_parameters = PARAMETERS;
    d->parameter = parameters;
    d->access = access;
    d->setup_instance = setup_instance;
    d->eval = eval;
    d->load_residual_resistive = load_residual;
    d->load_rhs_dc = load_rhs;
    d->load_rhs_transient = load_rhs_transient;
    d->load_jacobian_resistive = load_jacobian;
    d->load_jacobian_transient = load_jacobian_transient;
    return true;
}
