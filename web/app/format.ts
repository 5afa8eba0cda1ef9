/** Numbers, sizes and times as people read them, in the language of the catalogue. */

import { language, text } from './text'

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const
const MINUTE_S = 60
const HOUR_S = 3600
const DAY_S = 86_400

const plain = new Intl.NumberFormat(language.tag)
const percent = new Intl.NumberFormat(language.tag, { style: 'percent' })
const dateTime = new Intl.DateTimeFormat(language.tag, { dateStyle: 'medium', timeStyle: 'short' })
const timeOnly = new Intl.DateTimeFormat(language.tag, { timeStyle: 'short' })
const dayOnly = new Intl.DateTimeFormat(language.tag, { dateStyle: 'medium' })

export function formatNumber(value: number): string {
  return plain.format(value)
}

export function formatShare(part: number, whole: number): string {
  return percent.format(shareOf(part, whole))
}

/** Give how much of `whole` is there, from 0 to 1; all of nothing is all. */
export function shareOf(part: number, whole: number): number {
  if (whole <= 0) return 1
  return Math.min(1, Math.max(0, part / whole))
}

/** Write a size with three digits at most, in powers of 1,000 as systems show them. */
export function formatBytes(bytes: number): string {
  let step = 0
  let value = bytes
  while (value >= 999.5 && step < UNITS.length - 1) {
    value /= 1000
    step += 1
  }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return new Intl.NumberFormat(language.tag, {
    style: 'unit',
    unit: UNITS[step] ?? 'byte',
    unitDisplay: step === 0 ? 'long' : 'short',
    maximumFractionDigits: digits,
  }).format(value)
}

/** The same, with the exact number behind it where that says more. */
export function formatExactBytes(bytes: number): string {
  return bytes < 1000 ? formatBytes(bytes) : `${formatBytes(bytes)} (${formatNumber(bytes)})`
}

export function formatSpeed(bytesPerSecond: number): string {
  return text.uploads.perSecond(formatBytes(bytesPerSecond))
}

/** Write how long something takes, no finer than anybody believes. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return text.uploads.unknownTime
  if (seconds < 1) return text.time.seconds('1')
  if (seconds < MINUTE_S) return text.time.seconds(plain.format(Math.ceil(seconds)))
  if (seconds < HOUR_S) return text.time.minutes(plain.format(Math.ceil(seconds / MINUTE_S)))
  if (seconds < DAY_S) return text.time.hours(plain.format(Math.ceil(seconds / HOUR_S)))
  return text.time.days(plain.format(Math.ceil(seconds / DAY_S)))
}

/** Write a moment: the time for today, else the day. */
export function formatWhen(iso: string, now = new Date()): string {
  const moment = new Date(iso)
  return moment.toDateString() === now.toDateString() ? timeOnly.format(moment) : dayOnly.format(moment)
}

export function formatMoment(iso: string): string {
  return dateTime.format(new Date(iso))
}
