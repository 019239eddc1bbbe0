/** A seeded source of randomness: the same seed gives the same run. */
export interface Random {
  /** The next number in [0, 1). */
  next(): number;
}

/** A small generator (mulberry32) whose whole state is one 32-bit number. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next(): number {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    },
  };
}

/** A number in [0, 1) that depends on nothing but the seed and the position: for lags that belong to a window. */
export function fractionAt(seed: number, position: number): number {
  return randomFrom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(position | 0, 0xc2b2ae35)).next();
}

/** A 53-bit fingerprint of a text: tells request bodies apart, no secret is made from it. */
export function fingerprintOf(text: string): number {
  let low = 0xdeadbeef;
  let high = 0x41c6ce57;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    low = Math.imul(low ^ unit, 2_654_435_761);
    high = Math.imul(high ^ unit, 1_597_334_677);
  }
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909);
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & high) + (low >>> 0);
}

/** `length` hexadecimal digits from the generator. */
export function hexFrom(random: Random, length: number): string {
  let digits = '';
  while (digits.length < length)
    digits += Math.floor(random.next() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0');
  return digits.slice(0, length);
}

/** The numbers 0 … count-1 in a random order. */
export function shuffledIndexes(random: Random, count: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = Math.floor(random.next() * (at + 1));
    [order[at], order[other]] = [order[other] ?? other, order[at] ?? at];
  }
  return order;
}
