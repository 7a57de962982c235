/** Of this build; the server's may differ. */
export const skiffVersion = 'v0.1.0'
