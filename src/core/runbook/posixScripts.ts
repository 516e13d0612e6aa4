/*
 * What the blocks for a POSIX shell do, as sh. Every block looks at the disk before it changes anything, ends with GOOD or
 * with what is wrong, and can be run again. Names are in variables, decoded; `…_is` is the name as it is shown.
 *
 * The previous database is kept by copies, never by hard links: not every file system has links, and a program that opens
 * the live database meanwhile writes into a linked file, but not into a copy. A copy has its name only when it is complete.
 */
import { alone, exchange, hashes, holders, looks } from './posixParts.ts';

const check = `${looks}${hashes}
need sqlite3
unsure=
for one in $ITEMS; do
  use "$one"
  need_hash
  usable
  if [ -n "$member" ]; then
    unzip -tqq "$zip" "$member" >/dev/null 2>&1 || bad "the database cannot be read from $backup_is."
    [ -z "$sha256" ] || [ "$(unzip -p "$zip" "$member" | hash)" = "$sha256" ] ||
      bad "$backup_is is not what was compared: the SHA-256 of a database in it differs."
  else
    [ -z "$sha256" ] || [ "$(hash <"$backup")" = "$sha256" ] ||
      bad "$backup_is is not what was compared: its SHA-256 differs."
    if [ "$(od -An -tu1 -j18 -N1 "$backup" | tr -d " ")" = 2 ]; then
      unsure=yes
      say "NOT CHECKED: $backup_is is in WAL mode. Step 3 checks its copy."
    else
      intact -readonly "$backup"
    fi
  fi
  if [ -z "$sha256" ]; then unsure=yes; say "NOT CHECKED: the SHA-256 of $backup_is was not recorded."; fi
done
if [ -z "$unsure" ]; then say "GOOD: the backup is intact. Next: step 1."
else say "GOOD: nothing wrong was found in the backup. See above what was not checked. Next: step 1."
fi`;

const stop = `${looks}${holders}
can_look || unknown "which programs have the database open. This needs lsof. Make sure that none has."
for one in $ITEMS; do use "$one"; free "$live" "$live_is"; done
if [ "$(id -u)" -eq 0 ]; then say "GOOD: no program has the database open. Next: step 2."
else say "GOOD: no program that this user can see has the database open. Next: step 2."
fi`;

const move = `${looks}${holders}${alone}
need cmp
begin
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then
    [ -e "$live" ] || bad "$live_is is not there. Nothing was changed. Compare again, and use the new blocks."
  elif [ -e "$live" ]; then
    bad "a file has taken the name $live_is. Nothing was changed. Compare again, and use the new blocks."
  fi
  free "$live" "$live_is"
done
for one in $ITEMS; do
  use "$one"
  keep "$kept" "$kept_is"
  if [ -e "$kept" ]; then say "$live_is is kept as $kept_is."
  else say "$live_is: there is no database to keep."
  fi
done
say "GOOD: everything is kept. The live database is unchanged. Next: step 3."`;

const copy = `${looks}${holders}${hashes}${alone}drop=no
choose() { was=$kept was_is=$kept_is; }
${exchange}
exec 3>&1
need sqlite3 cmp
for one in $ITEMS; do use "$one"; need_hash; usable; done
begin
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then
    [ -e "$kept" ] || bad "the current database is not kept as $kept_is: run the block of step 2 first. Nothing was changed."
    [ -e "$live" ] || bad "$live_is is not there. Nothing was changed. The block Undo of step 6 puts it back."
  elif [ -e "$live" ]; then
    bad "a file has taken the name $live_is, or this block has run already. Nothing was changed."
  fi
  covered "$kept" || bad "$live_is is not what step 2 kept: it was used since, or this block has run already. Nothing was changed. The block Undo of step 6 puts the previous database back."
  free "$live" "$live_is"
done
for one in $ITEMS; do
  use "$one"
  if [ -n "$member" ]; then
    unzip -p "$zip" "$member" >"$new" || bad "the database cannot be read from $backup_is. Nothing was changed."
  else
    cp "$backup" "$new" || bad "$backup_is could not be copied. Nothing was changed."
    cmp -s "$backup" "$new" || bad "the copy of $backup_is differs from it. Nothing was changed."
  fi
  [ -z "$sha256" ] || [ "$(hash <"$new")" = "$sha256" ] ||
    bad "$backup_is is not what was compared: its SHA-256 differs. Nothing was changed."
  intact "$new"
  text "WAL_$item"
  if [ "$plain" = yes ]; then
    # The checksum VFS keeps 8 bytes a page, and page 1 is not to be changed without it.
    if [ "$(od -An -tu1 -j20 -N1 "$new" | tr -d " ")" = 8 ]; then
      say "NOT CHANGED: the application sets WAL mode by itself, as the pages have checksums of its own."
    else
      said=$(sql "$new" "PRAGMA journal_mode=wal") || :
      [ "$said" = wal ] || bad "WAL mode could not be set: $said. Nothing was changed."
    fi
  fi
  dress
  flush "$new"
done
for one in $ITEMS; do use "$one"; choose; free "$live" "$live_is"; place; done
for one in $ITEMS; do
  use "$one"
  say "$live_is now holds the backup."
  if [ -e "$kept" ]; then say "The previous database is kept as $kept_is."; fi
done
say "GOOD: the backup is in place. Next: step 4."`;

const verify = `${looks}
need sqlite3 cmp
differs=
for one in $ITEMS; do
  use "$one"
  [ -e "$live" ] || bad "$live_is is not there."
  if [ -e "$new" ]; then bad "step 3 has not ended: run its block again."; fi
  if [ "$had" = yes ]; then
    [ -e "$kept" ] || bad "the previous database is not kept as $kept_is, so this block cannot tell whether step 3 has run."
    if same "$kept"; then bad "$live_is is still the previous database: run the block of step 3."; fi
  fi
  sound "$live" || case $said in
  *locked*) unknown "$live_is is locked by a program. Run this block again later." ;;
  *) bad "the integrity check of $live_is says: $said" ;;
  esac
  say "$live_is passes the integrity check."
  n=1
  while text "TABLE_\${n}_OF_$item" && [ -n "$plain" ]; do
    want=\${plain%% *}
    rows=$(sql "$live" ".timeout 5000" "SELECT count(*) FROM \${plain#* }") ||
      bad "\${shown#* } cannot be read: $rows"
    if [ "$want" = "?" ]; then say "\${shown#* }: $rows rows. They were not counted for the backup."
    elif [ "$rows" = "$want" ]; then say "\${shown#* }: $rows rows, as in the backup."
    else differs=yes; say "\${shown#* }: $rows rows, but $want in the backup."
    fi
    n=$((n + 1))
  done
done
if [ -n "$differs" ]; then
  printf "%s\\n" "DIFFERENT: the row counts above. That is normal once the application writes. If it has not written, step 3 has not run." >&2
  exit 1
fi
say "GOOD: the live database is sound, and has the row counts of the backup as far as they are listed."`;

const undo = `${looks}${holders}${alone}choose() {
  was=$kept.restored was_is=$kept_is.restored
  drop=no
  if [ "$had" = no ]; then drop=yes; fi
}
${exchange}
exec 3>&1
need sqlite3 cmp
begin
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then
    [ -e "$kept" ] || bad "the previous database is not kept as $kept_is. Nothing was changed."
    if [ "$ITEMS" = 1 ] && [ -e "$live" ] && same "$kept"; then
      bad "$live_is is the previous database already. Nothing was changed."
    fi
  else
    [ -e "$live" ] || bad "$live_is is not there: there is nothing to undo."
  fi
  free "$live" "$live_is"
  free "$kept" "$kept_is"
done
for one in $ITEMS; do
  use "$one"
  [ "$had" = yes ] || continue
  for part in -wal -journal ""; do
    [ -e "$kept$part" ] || continue
    cp -p "$kept$part" "$new$part" 2>/dev/null || cp "$kept$part" "$new$part" ||
      bad "$kept_is$part could not be copied. Nothing was changed."
    cmp -s "$kept$part" "$new$part" || bad "the copy of $kept_is$part differs from it. Nothing was changed."
  done
  text "READABLE_$item"
  if [ "$plain" = yes ]; then
    [ -s "$kept" ] || bad "$kept_is is empty. Nothing was changed."
    sound "$new" || say "WARNING: the integrity check of $kept_is says: $said"
  fi
  # What its -wal or -journal has goes into the file, so that it takes the live name whole.
  if [ -s "$new-wal" ] || [ -s "$new-journal" ]; then
    said=$(sql "$new" "PRAGMA wal_checkpoint(TRUNCATE)" "SELECT count(*) FROM sqlite_schema") || bad "$kept_is cannot be read: $said. Nothing was changed."
    if [ -s "$new-wal" ]; then bad "the -wal file of $kept_is cannot be merged. Nothing was changed."; fi
  fi
  rm -f "$new-wal" "$new-shm" "$new-journal"
  dress
  flush "$new"
done
for one in $ITEMS; do
  use "$one"
  choose
  if [ "$had" = yes ] && [ -e "$live" ] && same "$kept"; then continue; fi
  free "$live" "$live_is"
  keep "$was" "$was_is"
  place
done
for one in $ITEMS; do
  use "$one"
  if [ "$had" = yes ]; then say "$live_is is the previous database again. Its copy $kept_is stays until you delete it."; fi
  if [ -e "$kept.restored" ]; then say "What the restore had put there is kept as $kept_is.restored."; fi
done
say "GOOD: the restore is undone. Start the programs again."`;

const remove = `${looks}${holders}${alone}
need sqlite3
begin
for one in $ITEMS; do
  use "$one"
  [ -e "$kept" ] || [ -e "$kept-wal" ] || [ -e "$kept-journal" ] || bad "$kept_is is not there. Nothing was deleted."
  [ -s "$live" ] || bad "$live_is is not there, or is empty, so $kept_is may be the last copy. Nothing was deleted."
  sound "$live" || bad "the integrity check of $live_is says: $said. Nothing was deleted."
  free "$kept" "$kept_is"
  for intent in "\${live%/*}"/.sqlite-backup-restore-*.json; do
    if [ -e "$intent" ]; then bad "a restore in this folder was interrupted and may need $kept_is. Finish it, or roll it back, first. Nothing was deleted."; fi
  done
done
for one in $ITEMS; do
  use "$one"
  for part in "" -wal -shm -journal; do rm -f "$kept$part" || bad "$kept_is$part could not be deleted."; done
  flush "\${kept%/*}"
done
say "GOOD: the previous database is deleted. The restore can no longer be undone."`;

export const scripts = { check, stop, move, copy, verify, undo, remove } as const;
