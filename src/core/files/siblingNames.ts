/** What SQLite keeps beside a database. */
export const siblingSuffixes = ['-wal', '-shm', '-journal'] as const;

/** A part of a database: '' is the database file itself. */
export type Part = '' | (typeof siblingSuffixes)[number];
