/*
 * The blocks for PowerShell on Windows, 5.1 and later. Each is one script block, `& { … }`, so that it can be pasted whole:
 * what fails ends the block and not the session, and its settings end with it. Names are only in its first lines.
 *
 * On Windows a file that a program has open cannot be renamed. So the live database is renamed away first, which proves
 * that no program has it open; then its siblings go, and the new file takes the free name, if no other file has taken it.
 */
import {
  type Block,
  type Blocks,
  type HandNames,
  mostTables,
  quotedIdentifier,
  quoteForPowerShell as q,
} from './handCommands.ts';

const common = `$Parts = '', '-wal', '-journal'
function Test-File($Path) { [IO.File]::Exists($Path) }
function Get-Size($Path) { if (Test-File $Path) { (New-Object IO.FileInfo $Path).Length } else { 0 } }
function Get-Hash($Path) { (Get-FileHash -Algorithm SHA256 -LiteralPath $Path).Hash }
function Test-Equal($One, $Other) {
  if ((Get-Size $One) -eq 0 -and (Get-Size $Other) -eq 0) { return $true }
  if (-not (Test-File $One) -or -not (Test-File $Other)) { return $false }
  (Get-Hash $One) -eq (Get-Hash $Other)
}
function Test-Same($One, $Other) {
  foreach ($Part in $Parts) { if (-not (Test-Equal ($One + $Part) ($Other + $Part))) { return $false } }
  $true
}
function Invoke-Sql($Path, $Sql, $Options = @()) {
  if (-not (Get-Command sqlite3 -ErrorAction SilentlyContinue)) { throw 'This block needs sqlite3, which is not installed.' }
  $Said = $Sql | & sqlite3 -batch -bail -list -noheader @Options $Path
  if ($LASTEXITCODE -ne 0) { throw "sqlite3 could not read $Path (exit code $LASTEXITCODE)." }
  [string]::Join(' ', @($Said))
}
function Assert-Sound($Path, $Options = @()) {
  $Said = Invoke-Sql $Path 'PRAGMA integrity_check;' $Options
  if ($Said -ne 'ok') { throw "The integrity check of $Path says: $Said" }
}
function Assert-Free($Path) {
  foreach ($Part in '', '-wal', '-shm', '-journal') {
    if (-not (Test-File ($Path + $Part))) { continue }
    try { [IO.File]::Open($Path + $Part, 'Open', 'ReadWrite', 'None').Dispose() }
    catch { throw "$Path$Part is open in a program, or cannot be opened for writing: $($_.Exception.InnerException.Message)" }
  }
}
function Copy-Durably($From, $To) {
  [IO.File]::Copy($From, $To, $true)
  $Stream = [IO.File]::Open($To, 'Open', 'ReadWrite', 'None')
  try { $Stream.Flush($true) } finally { $Stream.Dispose() }
  if (-not (Test-Equal $From $To)) { throw "The copy of $From differs from it, or $From changed meanwhile." }
}
function Keep-Database($Live, $Kept) {
  if (Test-File $Kept) {
    if (-not (Test-Same $Live $Kept)) { throw "$Kept is there already, and $Live is not the same: it was used or replaced since." }
    return
  }
  foreach ($Part in $Parts) {
    [IO.File]::Delete("$Kept$Part.part")
    if ((Get-Size ($Kept + $Part)) -gt 0 -and -not (Test-Equal ($Live + $Part) ($Kept + $Part))) { throw "$Kept$Part is there already, and is something else." }
    if (Test-File ($Live + $Part)) { Copy-Durably ($Live + $Part) "$Kept$Part.part" }
  }
  foreach ($Part in $Parts) {
    if (-not (Test-Equal ($Live + $Part) "$Kept$Part.part")) { throw "$Live$Part changed while it was copied. Stop the programs that use it." }
  }
  foreach ($Part in '-wal', '-journal', '') {
    if (-not (Test-File "$Kept$Part.part")) { continue }
    if (Test-File ($Kept + $Part)) { [IO.File]::Delete("$Kept$Part.part") }
    else { [IO.File]::Move("$Kept$Part.part", $Kept + $Part) }
  }
}
function Switch-Database($Live, $New, $Was) {
  $Old = "$Was.old"
  if (Test-File $Old) {
    if (-not (Test-Equal $Old $Was)) { throw "$Old is there already, and is something else. $Live was not replaced." }
    [IO.File]::Delete($Old)
  }
  if (-not (Test-Same $Live $Was)) { throw "$Live changed since it was kept. It was not replaced." }
  if (Test-File $Live) {
    [IO.File]::Move($Live, $Old)
    if (-not (Test-Equal $Old $Was)) { [IO.File]::Move($Old, $Live); throw "$Live changed at the last moment. It was not replaced." }
  }
  foreach ($Part in '-wal', '-shm', '-journal') { [IO.File]::Delete($Live + $Part) }
  if ($New) {
    try { [IO.File]::Move($New, $Live) }
    catch { throw "$Live could not be given the new file. The complete database is $Was. $($_.Exception.InnerException.Message)" }
  }
  [IO.File]::Delete($Old)
}`;

const quotedTables = ({ tables }: HandNames): string =>
  tables
    .slice(0, mostTables)
    .map(
      ({ name, rows }) =>
        `@{ Name = ${q(quotedIdentifier(name))}; Rows = ${rows === undefined ? '$null' : rows} }`,
    )
    .join(', ');

const yesOrNo = (is: boolean): string => (is ? '$true' : '$false');

const factsOf = (names: HandNames): string[] => [
  `Backup = ${q(names.backup)}`,
  `Member = ${names.member === undefined ? '$null' : q(names.member)}`,
  `Hash = ${names.sha256 === undefined ? '$null' : q(names.sha256)}`,
  `Verdict = ${q(names.verdict)}`,
  `Live = ${q(names.live)}`,
  `Had = ${yesOrNo(names.liveExists)}`,
  `Kept = ${q(names.setAside)}`,
  `New = ${q(`${names.setAside}.new`)}`,
  `Wal = ${yesOrNo(names.isWal)}`,
  `Tables = @(${quotedTables(names)})`,
];

/** One block at a time for a database; the file goes with the process, however that ends. */
const lock = `foreach ($Item in $Items) {
  try { $Locks += New-Object IO.FileStream "$($Item.Live).by-hand", 'CreateNew', 'ReadWrite', 'None', 1, 'DeleteOnClose' }
  catch { throw "Another block works on $($Item.Live), or nothing can be written beside it. Nothing was changed. $($_.Exception.InnerException.Message)" }
}`;

function block(script: string, { writes = false } = {}): Block {
  return (all) =>
    [
      '& {',
      "$ErrorActionPreference = 'Stop'",
      '$OutputEncoding = New-Object System.Text.UTF8Encoding $false',
      '$Items = @(',
      ...all.map(
        (names, index) =>
          `  @{ ${factsOf(names).join('\n     ')} }${index + 1 < all.length ? ',' : ''}`,
      ),
      ')',
      common,
      '$Locks = @()',
      'try {',
      ...(writes ? [lock] : []),
      script,
      "} catch { throw ('BAD: ' + $_.Exception.Message) }",
      'finally { foreach ($Lock in $Locks) { $Lock.Dispose() } }',
      '}',
    ].join('\n');
}

const usable = `  if (-not (Test-File $Item.Backup)) { throw "$($Item.Backup) is not there. Nothing was changed." }
  if ($Item.Verdict -eq 'damaged') { throw "$($Item.Backup) is damaged. Choose another backup. Nothing was changed." }
  if (-not $Item.Member) {
    if (-not $Item.Hash -and ((Get-Size "$($Item.Backup)-wal") -gt 0 -or (Get-Size "$($Item.Backup)-journal") -gt 0)) { throw "$($Item.Backup) has a -wal or -journal file beside it: a program uses it. Back it up first, and restore that backup." }
    if ($Item.Hash -and (Get-Hash $Item.Backup) -ne $Item.Hash) { throw "$($Item.Backup) is not what was compared: its SHA-256 differs. Nothing was changed." }
  }`;

export const powerShellBlocks: Blocks = {
  check: block(`foreach ($Item in $Items) {
${usable}
  if ($Item.Member) { 'NOT CHECKED: databases in a bundle. Step 3 checks the copy.' }
  else { Assert-Sound $Item.Backup @('-readonly') }
  if (-not $Item.Hash) { "NOT CHECKED: the SHA-256 of $($Item.Backup) was not recorded." }
}
'GOOD: nothing wrong was found in the backup. Next: step 1.'`),
  stop: block(`foreach ($Item in $Items) { Assert-Free $Item.Live }
'GOOD: no program has the database open. Next: step 2.'`),
  move: block(
    `foreach ($Item in $Items) {
  if ($Item.Had -and -not (Test-File $Item.Live)) { throw "$($Item.Live) is not there. Nothing was changed." }
  if (-not $Item.Had -and (Test-File $Item.Live)) { throw "A file has taken the name $($Item.Live). Nothing was changed." }
  Assert-Free $Item.Live
}
foreach ($Item in $Items) {
  Keep-Database $Item.Live $Item.Kept
  if ($Item.Had) { "$($Item.Live) is kept as $($Item.Kept)." }
}
'GOOD: everything is kept. The live database is unchanged. Next: step 3.'`,
    { writes: true },
  ),
  copy: block(
    `foreach ($Item in $Items) {
${usable}
  if ($Item.Had -and -not (Test-File $Item.Kept)) { throw "The current database is not kept as $($Item.Kept): run the block of step 2 first. Nothing was changed." }
  if ($Item.Had -and -not (Test-File $Item.Live)) { throw "$($Item.Live) is not there. Nothing was changed. The block Undo of step 6 puts it back." }
  if (-not $Item.Had -and (Test-File $Item.Live)) { throw "A file has taken the name $($Item.Live), or this block has run already. Nothing was changed." }
  if (-not (Test-Same $Item.Live $Item.Kept)) { throw "$($Item.Live) is not what step 2 kept: it was used since, or this block has run already. Nothing was changed. The block Undo of step 6 puts the previous database back." }
  Assert-Free $Item.Live
}
foreach ($Item in $Items) {
  foreach ($Part in '', '-wal', '-shm', '-journal') { [IO.File]::Delete($Item.New + $Part) }
  if ($Item.Member) {
    Add-Type -AssemblyName System.IO.Compression.FileSystem
    $Zip = [IO.Compression.ZipFile]::OpenRead($Item.Backup)
    try { [IO.Compression.ZipFileExtensions]::ExtractToFile($Zip.GetEntry($Item.Member), $Item.New, $false) }
    finally { $Zip.Dispose() }
  } else { Copy-Durably $Item.Backup $Item.New }
  if ($Item.Hash -and (Get-Hash $Item.New) -ne $Item.Hash) { throw "The copy of $($Item.Backup) is not what was compared: its SHA-256 differs. Nothing was changed." }
  if ($Item.Wal) {
    $Mode = Invoke-Sql $Item.New 'PRAGMA journal_mode = wal;'
    if ($Mode -ne 'wal') { throw "WAL mode could not be set: $Mode. Nothing was changed." }
  }
  Assert-Sound $Item.New
}
foreach ($Item in $Items) {
  Assert-Free $Item.Live
  Switch-Database $Item.Live $Item.New $Item.Kept
  "$($Item.Live) now holds the backup."
  if (Test-File $Item.Kept) { "The previous database is kept as $($Item.Kept)." }
}
'GOOD: the backup is in place. Next: step 4.'`,
    { writes: true },
  ),
  verify: block(`$Differs = $false
foreach ($Item in $Items) {
  if (-not (Test-File $Item.Live)) { throw "$($Item.Live) is not there." }
  if (Test-File $Item.New) { throw 'Step 3 has not ended: run its block again.' }
  if ($Item.Had -and -not (Test-File $Item.Kept)) { throw "The previous database is not kept as $($Item.Kept), so this block cannot tell whether step 3 has run." }
  if ($Item.Had -and (Test-Same $Item.Live $Item.Kept)) { throw "$($Item.Live) is still the previous database: run the block of step 3." }
  Assert-Sound $Item.Live
  "$($Item.Live) passes the integrity check."
  foreach ($Table in $Item.Tables) {
    $Rows = Invoke-Sql $Item.Live "SELECT count(*) FROM $($Table.Name);"
    if ($null -eq $Table.Rows) { "$($Table.Name): $Rows rows. They were not counted for the backup." }
    elseif ($Rows -eq "$($Table.Rows)") { "$($Table.Name): $Rows rows, as in the backup." }
    else { $Differs = $true; "$($Table.Name): $Rows rows, but $($Table.Rows) in the backup." }
  }
}
if ($Differs) { throw 'The row counts above differ. That is normal once the application writes. If it has not written, step 3 has not run.' }
'GOOD: the live database is sound, and has the row counts of the backup as far as they are listed.'`),
  undo: block(
    `foreach ($Item in $Items) {
  if ($Item.Had -and -not (Test-File $Item.Kept)) { throw "The previous database is not kept as $($Item.Kept). Nothing was changed." }
  if (-not $Item.Had -and -not (Test-File $Item.Live)) { throw "$($Item.Live) is not there: there is nothing to undo." }
  if ($Items.Count -eq 1 -and $Item.Had -and (Test-File $Item.Live) -and (Test-Same $Item.Live $Item.Kept)) { throw "$($Item.Live) is the previous database already. Nothing was changed." }
  Assert-Free $Item.Live
  Assert-Free $Item.Kept
}
foreach ($Item in $Items) {
  if (-not $Item.Had) { continue }
  foreach ($Part in '', '-wal', '-shm', '-journal') { [IO.File]::Delete($Item.New + $Part) }
  foreach ($Part in $Parts) { if (Test-File ($Item.Kept + $Part)) { Copy-Durably ($Item.Kept + $Part) ($Item.New + $Part) } }
  if ((Get-Size "$($Item.New)-wal") -gt 0 -or (Get-Size "$($Item.New)-journal") -gt 0) {
    [void](Invoke-Sql $Item.New 'PRAGMA wal_checkpoint(TRUNCATE); SELECT count(*) FROM sqlite_schema;')
    if ((Get-Size "$($Item.New)-wal") -gt 0) { throw "The -wal file of $($Item.Kept) cannot be merged. Nothing was changed." }
  }
  foreach ($Part in '-wal', '-shm', '-journal') { [IO.File]::Delete($Item.New + $Part) }
}
foreach ($Item in $Items) {
  if ($Item.Had -and (Test-File $Item.Live) -and (Test-Same $Item.Live $Item.Kept)) { continue }
  Assert-Free $Item.Live
  $Was = "$($Item.Kept).restored"
  Keep-Database $Item.Live $Was
  if ($Item.Had) { $New = $Item.New } else { $New = $null }
  Switch-Database $Item.Live $New $Was
  if ($Item.Had) { "$($Item.Live) is the previous database again. Its copy $($Item.Kept) stays until you delete it." }
  if (Test-File $Was) { "What the restore had put there is kept as $Was." }
}
'GOOD: the restore is undone. Start the programs again.'`,
    { writes: true },
  ),
  remove: block(
    `foreach ($Item in $Items) {
  if (-not (Test-File $Item.Kept)) { throw "$($Item.Kept) is not there. Nothing was deleted." }
  if ((Get-Size $Item.Live) -eq 0) { throw "$($Item.Live) is not there, or is empty, so $($Item.Kept) may be the last copy. Nothing was deleted." }
  Assert-Sound $Item.Live
  Assert-Free $Item.Kept
}
foreach ($Item in $Items) { foreach ($Part in '', '-wal', '-shm', '-journal') { [IO.File]::Delete($Item.Kept + $Part) } }
'GOOD: the previous database is deleted. The restore can no longer be undone.'`,
    { writes: true },
  ),
};
