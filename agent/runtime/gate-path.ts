/**
 * Where the gate lies in a container: the file system of /dev is made for each container, so that the image's layer keeps
 * no trace. The kernel shows the last part as the name of the process while it waits.
 */
export const gatePath = '/dev/skiff-gate'
