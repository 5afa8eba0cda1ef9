/** How fast bytes go, over the last seconds, and how long the rest will take. */

const WINDOW_MS = 8000
const SPAN_MS_MIN = 300 // over less than that no speed can be told

export class Speed {
  #seen: { at: number; bytes: number }[] = []

  /** Note how many bytes are there at a moment, in milliseconds. */
  note(bytes: number, at: number): void {
    this.#seen.push({ at, bytes })
    while (this.#seen.length > 2 && (this.#seen[0]?.at ?? at) < at - WINDOW_MS) this.#seen.shift()
  }

  /** Forget what was: after a pause the time that passed says nothing. */
  reset(): void {
    this.#seen = []
  }

  /** Bytes a second; null while it cannot be told. */
  perSecond(now: number): number | null {
    const first = this.#seen[0]
    const last = this.#seen.at(-1)
    if (first === undefined || last === undefined || last.at - first.at < SPAN_MS_MIN) return null
    return ((last.bytes - first.bytes) * 1000) / Math.max(now - first.at, last.at - first.at)
  }

  secondsLeft(missing: number, now: number): number | null {
    const rate = this.perSecond(now)
    return rate === null || rate <= 0 ? null : missing / rate
  }
}
