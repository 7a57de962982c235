import type { ImageInfo } from '../runtime.ts'

/** Names of images that pods of one node were made from lately. */
const maxImages = 256

/**
 * What inspections of images have said, so that not each pod of a group asks the same. An answer is good until an event
 * tells that something happened to any image, and only while events are heard: of names, events say too little to know
 * which answers they change.
 */
export class SeenImages {
  readonly #seen = new Map<string, ImageInfo>()
  #isListening = false
  /** Another one after each event: an inspection during which something happened may have been too early. */
  #age = Symbol('age')

  /** Events are heard from now on; of those before some may be lost. */
  listening(): void {
    this.forgetAll()
    this.#isListening = true
  }

  /** No event is heard until the next time. */
  deaf(): void {
    this.forgetAll()
    this.#isListening = false
  }

  /** Something has happened to an image, or may have. */
  forgetAll(): void {
    this.#seen.clear()
    this.#age = Symbol('age')
  }

  /** The answer that is known, or asks for it. One that is not there, or has no id, is asked for each time. */
  async look(ref: string, inspect: () => Promise<ImageInfo | undefined>): Promise<ImageInfo | undefined> {
    const seen = this.#seen.get(ref)
    if (seen !== undefined) return seen
    const age = this.#age
    const found = await inspect()
    if (found === undefined || found.id === '' || !this.#isListening || age !== this.#age) return found
    if (this.#seen.size >= maxImages) this.#seen.clear()
    this.#seen.set(ref, found)
    return found
  }
}
