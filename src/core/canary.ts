/** The header of a delivery that is verified, read, decided and answered like any other, and kept nowhere. */
export const canaryHeader = "X-Meshmac-Probe";
