/**
 * Which pods have containers here, as far as the engine's list and its events say. A pod that came after both has none,
 * and need not be looked for. Whoever is wrong here meets a name that is taken, and looks.
 */
export class PodsSeen {
  /** Undefined while something may have been missed. */
  #known: Set<string> | undefined
  /** Since the list that is under way was asked for; undefined where events since may have been lost. */
  #sinceAsked: Set<string> | undefined
  #isListening = false

  /** Events are heard from now on; of those before some may be lost. */
  gap(): void {
    this.#isListening = true
    this.#known = undefined
    this.#sinceAsked = undefined
  }

  /** No event is heard until the next gap. */
  deaf(): void {
    this.gap()
    this.#isListening = false
  }

  /** An event told of one of its containers. */
  changed(uid: string): void {
    this.#known?.add(uid)
    this.#sinceAsked?.add(uid)
  }

  /** A list of everything is asked for now. */
  asked(): void {
    this.#sinceAsked = this.#isListening ? new Set() : undefined
  }

  /** Its answer: the pods that have containers. */
  listed(uids: Iterable<string>): void {
    const since = this.#sinceAsked
    this.#sinceAsked = undefined
    this.#known = since && new Set([...uids, ...since])
  }

  /** False where it is not known either way. Bounded by what the engine has told since the last list. */
  hasNothingOf(uid: string): boolean {
    return this.#known?.has(uid) === false
  }
}
