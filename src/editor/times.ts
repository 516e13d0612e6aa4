/** Times as a person reads them, in the editor's language and the machine's time zone. */
import * as vscode from 'vscode';

const { t } = vscode.l10n;

/** One clock everywhere: a narrow row has room for this one only, and two side by side have to be converted. */
const hourCycle = 'h23';

/** `2 min ago`; exact times are for tooltips. */
export function relativeTime(iso: string, now: number): string {
  const minutes = Math.floor((now - Date.parse(iso)) / 60_000);
  if (minutes < 1) return t('just now');
  if (minutes < 60) return t('{0} min ago', minutes);
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return t('{0} h ago', hours);
  const days = Math.floor(hours / 24);
  return days === 1 ? t('1 day ago') : t('{0} days ago', days);
}

/** `13:45`, local time. */
export function timeOfDay(iso: string): string {
  return format({ hour: '2-digit', minute: '2-digit', hourCycle }, iso);
}

/** `13:45:02`, local time. */
export function secondOfDay(iso: string): string {
  return format({ timeStyle: 'medium', hourCycle }, iso);
}

/** `Today 13:45`, `Yesterday 18:00`, `Nov 19, 13:45`, and the year when it is another. Local time. */
export function dayAndTime(iso: string, now: number): string {
  const time = timeOfDay(iso);
  const days = daysBefore(iso, now);
  if (days === 0) return t('Today {0}', time);
  if (days === 1) return t('Yesterday {0}', time);
  return t('{0}, {1}', format({ month: 'short', day: 'numeric', ...yearOf(iso, now) }, iso), time);
}

/** `13:45 today`, `18:00 yesterday`, `13:45 Nov 19`: the same where what comes last may be cut off. */
export function timeAndDay(iso: string, now: number): string {
  const time = timeOfDay(iso);
  const days = daysBefore(iso, now);
  if (days === 0) return t('{0} today', time);
  if (days === 1) return t('{0} yesterday', time);
  return `${time} ${format({ month: 'short', day: 'numeric', ...yearOf(iso, now) }, iso)}`;
}

/** `Today`, `Yesterday`, then `Thu, Nov 19`: what groups the backups of a day. */
export function dayName(iso: string, now: number): string {
  const days = daysBefore(iso, now);
  if (days === 0) return t('Today');
  if (days === 1) return t('Yesterday');
  return format({ weekday: 'short', month: 'short', day: 'numeric', ...yearOf(iso, now) }, iso);
}

/** The exact local time with its zone, for tooltips. */
export function exactTime(iso: string): string {
  return format({ dateStyle: 'full', timeStyle: 'long', hourCycle }, iso);
}

/** The year is said only when it is another one. */
function yearOf(iso: string, now: number): Intl.DateTimeFormatOptions {
  return new Date(iso).getFullYear() === new Date(now).getFullYear() ? {} : { year: 'numeric' };
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a format takes longer than using it, and a folder may hold thousands of backups. */
function format(options: Intl.DateTimeFormatOptions, iso: string): string {
  const key = JSON.stringify(options);
  const known = formats.get(key) ?? new Intl.DateTimeFormat(vscode.env.language, options);
  formats.set(key, known);
  return known.format(new Date(iso));
}

function daysBefore(iso: string, now: number): number {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  return Math.round((midnight - new Date(iso).setHours(0, 0, 0, 0)) / 86_400_000);
}
