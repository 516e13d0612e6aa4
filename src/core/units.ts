/** Sizes and durations as the command line prints them, and as messages of the core say them. */

let language = 'en';
/** Made when the first number is printed: that takes as long as the start of a small program. */
let made: Record<'bytes' | 'tenths', Intl.NumberFormat> | undefined;

/** @param tag The language of the numbers, such as `de`; English until it is set. */
export function useLanguage(tag: string): void {
  language = tag;
  made = undefined;
}

function numbers(): Record<'bytes' | 'tenths', Intl.NumberFormat> {
  return (made ??= numbersOf(language));
}

function numbersOf(tag: string): Record<'bytes' | 'tenths', Intl.NumberFormat> {
  const [locale = 'en'] = Intl.NumberFormat.supportedLocalesOf([tag, 'en']);
  const plain = { useGrouping: false };
  return {
    bytes: new Intl.NumberFormat(locale, {
      style: 'unit',
      unit: 'byte',
      unitDisplay: 'long',
      ...plain,
    }),
    tenths: new Intl.NumberFormat(locale, {
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
      ...plain,
    }),
  };
}

/** `48.2 MB`, `12 KB`, `0 bytes`; decimal units, as file managers and disks count. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return numbers().bytes.format(bytes);
  const units = ['KB', 'MB', 'GB', 'TB'] as const;
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const isWhole = value >= 100 || unit === 0;
  return `${isWhole ? value.toFixed(0) : numbers().tenths.format(value)} ${units[unit]}`;
}

/** `0.03 s`, `0.4 s`, `12 s`, `3 min`. */
export function formatDuration(ms: number): string {
  if (ms < 95) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 9_950) return `${numbers().tenths.format(ms / 1000)} s`;
  if (ms < 119_500) return `${Math.round(ms / 1000)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
