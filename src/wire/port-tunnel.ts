/** The protocol that a client upgrades to for a port's bytes as they are. */
export const portProtocol = "cofferdam-port";
