const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS_IN = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const IMF_FIXDATE = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/i;
const EARLIEST_YEAR = 1970;

/**
 * A date as HTTP's headers carry it (`Sun, 22 Nov 2026 18:09:23 GMT`; RFC 9110, section 5.6.7, the only form that may be
 * sent), in epoch ms; null where it is none.
 */
export function httpDateMs(text: string): number | null {
  const found = IMF_FIXDATE.exec(text.trim());
  if (!found) return null;
  const [, day, monthName, year, hour, minute, second] = found;
  const month = MONTHS.indexOf(monthName!.toLowerCase());
  const [y, d, h, m, s] = [year, day, hour, minute, second].map(Number) as [number, number, number, number, number];
  if (month < 0 || y < EARLIEST_YEAR || d < 1 || d > daysIn(y, month) || h > 23 || m > 59 || s > 60) return null;
  let days = d - 1;
  for (let before = 0; before < month; before += 1) days += daysIn(y, before);
  const leapsBefore = (upTo: number): number => Math.floor(upTo / 4) - Math.floor(upTo / 100) + Math.floor(upTo / 400);
  days += (y - EARLIEST_YEAR) * 365 + leapsBefore(y - 1) - leapsBefore(EARLIEST_YEAR - 1);
  return (((days * 24 + h) * 60 + m) * 60 + s) * 1_000;
}

function daysIn(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 1 && leap ? 29 : DAYS_IN[month]!;
}
