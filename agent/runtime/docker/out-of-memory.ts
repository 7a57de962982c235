const maxIds = 10_000

/**
 * Containers in which the kernel killed a process for want of memory, as told by events. The engine marks a container
 * only when it heard of the kill before the container's end; when the two come the other way round only the event
 * tells. Bounded: the oldest are forgotten.
 */
export class OutOfMemory {
  readonly #ids = new Set<string>()

  add(id: string): void {
    this.#ids.add(id)
    for (const oldest of this.#ids) {
      if (this.#ids.size <= maxIds) return
      this.#ids.delete(oldest)
    }
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  forget(id: string): void {
    this.#ids.delete(id)
  }
}
