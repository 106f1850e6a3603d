// These change what a program's own tools load, or belong to the worker.
const reserved = /^(?:BUN_|NODE_OPTIONS$|MESHMAC_|MESH_NODE_ID$|BASH_ENV$|ENV$|IFS$|LD_|DYLD_)/;
const secretName = /(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|KEY|CREDENTIALS)$/i;

/** Says whether `pass_env` cannot name a variable: it would change what a script's own tools load, or is the worker's. */
export const isReserved = (name: string): boolean => reserved.test(name);

/** Says whether a variable's name says that its value is a secret. */
export const namesSecret = (name: string): boolean => secretName.test(name);
