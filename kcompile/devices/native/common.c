/* What all descriptors have in common: no charges, no states, no noise, no limiting. */

#include "devices.h"

static void no_noise(void *instance, void *model, double frequency, double *densities) {
    (void)instance, (void)model, (void)frequency, (void)densities;
}

static void no_residual(void *instance, void *model, double *residual) {
    (void)instance, (void)model, (void)residual;
}

static void no_reactive_jacobian(void *instance, void *model, double alpha) {
    (void)instance, (void)model, (void)alpha;
}

static void setup_model(void *handle, void *model, OsdiSimulatorParameters *parameters,
                        OsdiSetup *setup) {
    (void)handle, (void)model, (void)parameters;
    setup_done(setup);
}

void fill_common(OsdiDescriptor *descriptor) {
    descriptor->collapsed_offset = OSDI_NONE;
    descriptor->bound_step_offset = OSDI_NONE;
    descriptor->setup_model = setup_model;
    descriptor->load_noise = no_noise;
    descriptor->load_residual_reactive = no_residual;
    descriptor->load_limit_resistive = no_residual;
    descriptor->load_limit_reactive = no_residual;
    descriptor->load_jacobian_reactive = no_reactive_jacobian;
}

OsdiNode terminal(char *name) {
    const OsdiNode node = {name, "V", "A", OSDI_NONE, OSDI_NONE, OSDI_NONE, OSDI_NONE, false};
    return node;
}
