/** Whether the value of a setting is what the manifest says. VS Code hands out whatever is in settings.json. */

/** The part of JSON Schema that our manifest uses. */
export interface SettingSchema {
  type?: string | undefined;
  enum?: readonly unknown[] | undefined;
  minimum?: number | undefined;
  maximum?: number | undefined;
  pattern?: string | undefined;
  items?: { type?: string | undefined; pattern?: string | undefined } | undefined;
}

export interface SettingProblem {
  expected:
    | 'text'
    | 'number'
    | 'boolean'
    | 'texts'
    | 'list'
    | 'commands'
    | 'path'
    | 'choice'
    | 'range';
  /** The value as JSON, cut where it is long. */
  found: string;
}

const longestShown = 60;

export function problemWith(
  value: unknown,
  schema: SettingSchema | undefined,
): SettingProblem | undefined {
  const expected = schema === undefined ? undefined : whatIsWrong(value, schema);
  if (expected === undefined) return undefined;
  const json = JSON.stringify(value) ?? String(value);
  const found = json.length > longestShown ? `${json.slice(0, longestShown)}…` : json;
  return { expected, found };
}

function whatIsWrong(
  value: unknown,
  { type, enum: choices, minimum, maximum, pattern, items }: SettingSchema,
): SettingProblem['expected'] | undefined {
  if (choices !== undefined) return choices.includes(value) ? undefined : 'choice';
  switch (type ?? '') {
    case 'string':
      if (typeof value !== 'string') return 'text';
      // The only text with a pattern is that of a folder.
      return matches(value, pattern) ? undefined : 'path';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'boolean';
    case 'number':
    case 'integer':
      if (typeof value !== 'number' || !Number.isFinite(value)) return 'number';
      return value < (minimum ?? -Infinity) || value > (maximum ?? Infinity) ? 'range' : undefined;
    case 'array':
      if (!Array.isArray(value)) return items?.type === 'string' ? 'texts' : 'list';
      if (items?.type !== 'string') return undefined;
      if (!value.every((one) => typeof one === 'string')) return 'texts';
      // The only texts with a pattern are those of commands.
      return items.pattern === undefined || value.every((one) => matches(one, items.pattern))
        ? undefined
        : 'commands';
    default:
      return undefined;
  }
}

function matches(value: string, pattern: string | undefined): boolean {
  return pattern === undefined || new RegExp(pattern, 'u').test(value);
}
