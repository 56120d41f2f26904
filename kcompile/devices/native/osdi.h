/* The part of the OSDI 0.3 interface that our devices implement: how a circuit simulator talks to a
 * compiled device model. Facts of the interface, in our own words; ngspice 40 and later speak it. */

#ifndef KCOMPILE_OSDI_H
#define KCOMPILE_OSDI_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OSDI_MAJOR = 0,
    OSDI_MINOR = 3,
};

/* Flags of a parameter: its type, and in the two highest bits its kind. */
enum {
    PARAMETER_REAL = 0,
    PARAMETER_INTEGER = 1,
    PARAMETER_OF_INSTANCE = 1u << 30,
};

/* Flags of ``access``. */
enum {
    ACCESS_INSTANCE = 4,
};

/* Flags of a Jacobian entry. */
enum {
    ENTRY_RESISTIVE = 4,
};

/* What ``eval`` returns. */
enum {
    EVAL_DONE = 0,
    EVAL_FATAL = 2,
};

#define OSDI_NONE UINT32_MAX

typedef struct {
    char **names;
    char **values;
    char **string_names;
    char **string_values;
} OsdiSimulatorParameters;

typedef struct {
    OsdiSimulatorParameters parameters;
    double time;
    double *voltages; /* of the last iteration, by the simulator's node numbers; 0 is ground */
    double *states;
    double *next_states;
    uint32_t flags;
} OsdiSimulation;

/* Filled by the set-up functions: the simulator hands it over as it lies in memory. */
typedef struct {
    uint32_t flags;
    uint32_t errors;
    void *error;
} OsdiSetup;

typedef struct {
    char *name;
    char *units;
    char *residual_units;
    uint32_t resistive_residual;
    uint32_t reactive_residual;
    uint32_t resistive_limit;
    uint32_t reactive_limit;
    bool is_flow;
} OsdiNode;

typedef struct {
    uint32_t row;
    uint32_t column;
    uint32_t reactive_pointer;
    uint32_t flags;
} OsdiEntry;

typedef struct {
    char **names;
    uint32_t aliases;
    char *description;
    char *units;
    uint32_t flags;
    uint32_t length;
} OsdiParameter;

typedef struct {
    const char *name;

    uint32_t nodes;
    uint32_t terminals;
    const OsdiNode *node;

    uint32_t entries;
    const OsdiEntry *entry;

    uint32_t collapsible_pairs;
    const void *collapsible_pair;
    uint32_t collapsed_offset;

    const void *noise_source;
    uint32_t noise_sources;

    uint32_t parameters;
    uint32_t instance_parameters;
    uint32_t operating_variables;
    const OsdiParameter *parameter;

    uint32_t node_mapping_offset;
    uint32_t entry_pointers_offset;
    uint32_t states;
    uint32_t state_index_offset;
    uint32_t bound_step_offset;
    uint32_t instance_size;
    uint32_t model_size;

    void *(*access)(void *instance, void *model, uint32_t parameter, uint32_t flags);
    void (*setup_model)(void *handle, void *model, OsdiSimulatorParameters *, OsdiSetup *);
    void (*setup_instance)(void *handle, void *instance, void *model, double temperature,
                           uint32_t terminals, OsdiSimulatorParameters *, OsdiSetup *);
    uint32_t (*eval)(void *handle, void *instance, const void *model, const OsdiSimulation *);
    void (*load_noise)(void *instance, void *model, double frequency, double *densities);
    void (*load_residual_resistive)(void *instance, void *model, double *residual);
    void (*load_residual_reactive)(void *instance, void *model, double *residual);
    void (*load_limit_resistive)(void *instance, void *model, double *residual);
    void (*load_limit_reactive)(void *instance, void *model, double *residual);
    void (*load_rhs_dc)(void *instance, void *model, double *rhs, double *voltages);
    void (*load_rhs_transient)(void *instance, void *model, double *rhs, double *voltages,
                               double alpha);
    void (*load_jacobian_resistive)(void *instance, void *model);
    void (*load_jacobian_reactive)(void *instance, void *model, double alpha);
    void (*load_jacobian_transient)(void *instance, void *model, double alpha);
} OsdiDescriptor;

#endif
