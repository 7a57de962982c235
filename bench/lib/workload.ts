/** Made by `prepareImage`: busybox. */
export const image = 'skiff/hello:1'

/** Ends at once on SIGTERM, so that deleting is not waiting for a grace to pass. */
export const script = 'trap "exit 0" TERM; sleep 100000 & wait'
