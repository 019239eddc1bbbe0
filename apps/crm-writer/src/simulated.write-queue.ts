/** Things kept in order while they come and go. What they are ordered by may change only while they are out. */
export class InOrder<T> implements Iterable<T> {
  readonly #list: T[] = [];
  readonly #known = new Set<T>();

  /** `compare` must tell any two apart. */
  constructor(private readonly compare: (a: T, b: T) => number) {}

  get length(): number {
    return this.#list.length;
  }

  has(one: T): boolean {
    return this.#known.has(one);
  }

  /** Does nothing where it is in already. */
  add(one: T): void {
    if (this.#known.has(one)) return;
    this.#known.add(one);
    this.#list.splice(this.#placeOf(one), 0, one);
  }

  /** Does nothing where it isn't in. */
  remove(one: T): void {
    if (!this.#known.delete(one)) return;
    const place = this.#placeOf(one);
    if (this.#list[place] !== one) throw new Error('what the order goes by was changed while it was in order');
    this.#list.splice(place, 1);
  }

  /** How many of the first ones are so; all that are so must come before all that aren't. */
  countWhile(isSo: (one: T) => boolean): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isSo(this.#list[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#list[Symbol.iterator]();
  }

  /** The first place whose thing doesn't come before this one. */
  #placeOf(one: T): number {
    return this.countWhile((other) => other !== one && this.compare(other, one) < 0);
  }
}
