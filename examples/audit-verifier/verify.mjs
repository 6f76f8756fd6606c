#!/usr/bin/env node
// Verifies an export or a proof of ordersaga's event log with nothing but the public key. It is written from docs/reference/audit-format.md and
// shares no code with the service. It needs Node.js 18 and no packages.
//
//   node verify.mjs --key KEY [--key KEY] [--checkpoint NOTE] [--json] EXPORT_FOLDER | PROOF_FILE
//
// KEY is a public key of the log or of a witness, or a file with keys. The exit code is 0 if nothing is wrong, 1 if there is damage, and 2 for other errors.
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const compareText = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

// Canonical JSON (RFC 8785).
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

// Keys and notes.
function parseKeys(text) {
  const keys = text.split(/\s+/).filter(Boolean).map((line) => {
    const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(line) ?? [];
    const key = Buffer.from(encoded ?? '', 'base64');
    if (key.length !== 33 || (key[0] !== 1 && key[0] !== 4) || sha256(name, '\n', key).readUInt32BE() !== parseInt(id, 16)) throw new Error(`${line} is not a public key`);
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key.subarray(1)]);
    return { name, id: parseInt(id, 16), isWitness: key[0] === 4, key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
  });
  if (keys.every((k) => k.isWitness)) throw new Error('a public key of the log is required');
  return keys;
}

const noteText = /^([^\n]+)\n([1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\nordersaga checkpoint ([1-9][0-9]{0,17}) ([^\n ]+)\n$/;

// openNote returns the checkpoint of a signed note, or throws.
function openNote(signed, keys) {
  const split = signed.lastIndexOf('\n\n');
  if (split < 0 || !signed.endsWith('\n')) throw new Error('the note is malformed');
  const text = signed.slice(0, split + 1);
  const lines = signed.slice(split + 2, -1).split('\n');
  const parts = noteText.exec(text);
  let valid = false;
  const witnesses = new Set();
  for (const line of lines) {
    const [, name, encoded] = /^\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? [];
    const signature = Buffer.from(encoded ?? '', 'base64');
    if (signature.length < 5) throw new Error('a signature is malformed');
    const key = keys.find((k) => k.name === name && k.id === signature.readUInt32BE());
    if (!key) continue;
    const time = key.isWitness ? 8 : 0; // bytes before the signature of a witness
    if (signature.length < 4 + time) throw new Error('a signature is malformed');
    const message = key.isWitness ? `cosignature/v1\ntime ${signature.readBigUInt64BE(4)}\n${text}` : text;
    if (!verifySignature(null, Buffer.from(message), key.key, signature.subarray(4 + time))) throw new Error('a signature is wrong');
    if (key.isWitness) witnesses.add(key);
    else valid ||= parts !== null && parts[1] === name;
  }
  if (!valid) throw new Error('no key of the log has signed the note');
  const [, origin, size, root, n, time] = parts;
  if (!isTime(time) || Buffer.from(root, 'base64').toString('base64') !== root) throw new Error('the note is malformed');
  return { n: Number(n), origin, size: Number(size), root, text, isCosigned: keys.every((k) => !k.isWitness || witnesses.has(k)) };
}

// openCosigned is openNote of a note that every witness must have cosigned.
function openCosigned(signed, keys) {
  const c = openNote(signed, keys);
  if (!c.isCosigned) throw new Error(`a witness has not cosigned checkpoint ${c.n}`);
  return c;
}

const isTime = (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text;

// The tree (RFC 6962).
const node = (left, right) => sha256(Buffer.of(1), left, right);
const leafBytes = (leaf) => Buffer.from(canonical({ hash: leaf.hash, stream: leaf.stream, version: leaf.version }));
const leafHash = (leaf) => sha256(Buffer.of(0), leafBytes(leaf));

// roots returns the roots of the tree at sizes.
function roots(leaves, sizes) {
  const wanted = new Set(sizes);
  const found = new Map();
  const stack = []; // complete subtrees, from left to right
  leaves.forEach((leaf, i) => {
    let [hash, count] = [leafHash(leaf), 1];
    while (stack.length > 0 && stack.at(-1).count === count) {
      hash = node(stack.pop().hash, hash);
      count *= 2;
    }
    stack.push({ hash, count });
    if (wanted.has(i + 1)) found.set(i + 1, stack.map((s) => s.hash).reduceRight((right, left) => node(left, right)).toString('base64'));
  });
  return found;
}

// includes verifies an inclusion proof (RFC 9162, section 2.1.3.2).
function includes(leaf, index, size, proof, root) {
  let [fn, sn, hash] = [index, size - 1, leafHash(leaf)];
  for (const step of proof) {
    const sibling = Buffer.from(step, 'base64');
    if (sn === 0 || sibling.length !== 32) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = node(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
    } else {
      hash = node(hash, sibling);
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && hash.toString('base64') === root;
}

// continues verifies a consistency proof (RFC 9162, section 2.1.4.2).
function continues(older, newer, proof) {
  if (older.size === newer.size) return proof.length === 0 && older.root === newer.root;
  if (proof.length === 0) return false;
  const path = proof.map((step) => Buffer.from(step, 'base64'));
  if (path.some((step) => step.length !== 32)) return false;
  let [fn, sn] = [older.size - 1, newer.size - 1];
  const up = () => { [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]; };
  while (fn % 2 === 1) up();
  if (fn === 0) path.unshift(Buffer.from(older.root, 'base64')); // the size is a power of two
  let [before, after] = [path[0], path[0]];
  for (const step of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      [before, after] = [node(step, before), node(step, after)];
      while (fn % 2 === 0 && fn !== 0) up();
    } else {
      after = node(after, step);
    }
    up();
  }
  return sn === 0 && before.toString('base64') === older.root && after.toString('base64') === newer.root;
}

function parseLeaf(line) {
  try {
    const leaf = JSON.parse(line);
    const ok = /^[0-9a-f]{64}$/.test(leaf.hash) && typeof leaf.stream === 'string' && leaf.stream !== '' && Number.isSafeInteger(leaf.version) && leaf.version > 0;
    return ok && leafBytes(leaf).equals(line) ? leaf : null;
  } catch {
    return null;
  }
}

// Records.
const texts = ['causationId', 'correlationId', 'hash', 'id', 'key', 'prevHash', 'source', 'stream', 'subject', 'time', 'type'];
const names = [...texts, 'data', 'schemaVersion', 'version'].sort();
const place = /^.*,"stream":"([^"\\]+)","subject":".*,"version":([1-9][0-9]{0,9})}$/s;

// parseRecord reads a line; a line that is not canonical is damaged.
function parseRecord(line, before) {
  const text = line.toString('utf8');
  try {
    const r = JSON.parse(text);
    const ok = canonical(Object.keys(r).sort()) === canonical(names) && texts.every((name) => typeof r[name] === 'string') &&
      Number.isSafeInteger(r.schemaVersion) && Number.isSafeInteger(r.version) && r.version > 0 && isTime(r.time);
    if (ok && Buffer.from(canonical(r)).equals(line)) return { stream: r.stream, version: r.version, record: r };
  } catch {
    // damaged
  }
  const found = place.exec(text);
  if (found) return { stream: found[1], version: Number(found[2]), damaged: true };
  return { stream: before.stream, version: before.version + 1, damaged: true };
}

// storable reports whether the service accepts data.
function storable(value, depth = 1, inArray = false) {
  if (Array.isArray(value)) return depth <= 32 && !inArray && value.every((v) => storable(v, depth + 1, true));
  if (value !== null && typeof value === 'object') {
    return depth <= 32 && Object.entries(value).every(([name, v]) => name !== '' && name !== '_id' && !/^\$|[.\0]/.test(name) && storable(v, depth + 1));
  }
  if (typeof value === 'number') return Number.isSafeInteger(value);
  return typeof value !== 'string' || !value.includes('\0');
}

const maxData = 4 << 20;

// hashAt returns the hash that a record has as a version of a stream.
function hashAt(r, stream, version) {
  const isObject = r.data !== null && typeof r.data === 'object' && !Array.isArray(r.data);
  if (!isObject || !storable(r.data) || Buffer.byteLength(canonical(r.data)) > maxData) return '';
  const { hash, prevHash, ...envelope } = r;
  return sha256('ordersaga/record/v1\n', prevHash, '\n', canonical({ ...envelope, stream, version })).toString('hex');
}

// verifyStream returns the first damage of a stream, or null.
function verifyStream(stream, stored, leaves) {
  const found = (kind, version) => ({ kind, stream, version });
  const signed = new Map();
  let last = 0;
  for (const leaf of leaves) {
    last = Math.max(last, leaf.version);
    if (signed.has(leaf.version) && signed.get(leaf.version) !== leaf.hash) return found('forked', leaf.version);
    signed.set(leaf.version, leaf.hash);
  }
  if (stored.length === 0) return last === 0 ? null : found('stream gone', 1);
  const at = stored.findIndex((r, i) => i > 0 && r.version < stored[i - 1].version);
  const disorder = at > 0 ? stored[at].version : 0;
  const records = [...stored].sort((a, b) => a.version - b.version);
  const isAt = (r, version) => r?.record !== undefined && hashAt(r.record, stream, version) === r.record.hash;
  const newest = Math.max(last, records.at(-1).version, records.length);
  const origin = (r) => {
    for (let version = 1; r.record && version <= newest; version++) if (isAt(r, version)) return version;
    return 0;
  };
  let good = 0;
  let prev = sha256('ordersaga/genesis/v1\n', stream).toString('hex');
  for (let i = 0; i < records.length; i++) {
    const [r, next, version] = [records[i], records[i + 1], i + 1];
    const shifted = () => isAt(next, version);
    if (r.version < version) return found('inserted', r.version);
    if (r.version > version) return found('missing', version);
    if (r.damaged || !isAt(r, version)) {
      const from = origin(r);
      if (from === 0 || from === version) return found(shifted() ? 'inserted' : 'changed', version);
      if (from < version) return found('inserted', from);
      return found(records.slice(i + 1).some((other) => isAt(other, version)) ? 'reordered' : 'missing', version);
    }
    const { hash, prevHash } = r.record;
    if (prevHash !== prev) {
      const vouched = signed.has(version) ? signed.get(version) === hash : isAt(next, version + 1) && next.record.prevHash === hash;
      if (shifted()) return found('inserted', version);
      if (version > 1 && good < version - 1 && vouched) return found('changed', version - 1);
      return found(next === undefined && !signed.has(version) ? 'inserted' : 'changed', version);
    }
    if (signed.has(version)) {
      if (signed.get(version) !== hash) {
        if (shifted()) return found('inserted', version);
        if (isAt(next, version + 1) && next.record.prevHash !== hash) return found('changed', version);
        return found('forked', good + 1);
      }
      good = version;
    }
    prev = hash;
  }
  if (records.length < last) return found('truncated', records.length + 1);
  return disorder > 0 ? found('reordered', disorder) : null;
}

function linesOf(path) {
  const content = readFileSync(path);
  const lines = [];
  for (let from = 0; from < content.length;) {
    let to = content.indexOf(10, from);
    if (to < 0) to = content.length;
    lines.push(content.subarray(from, to));
    from = to + 1;
  }
  return lines;
}

function readNotes(dir) {
  const folder = join(dir, 'checkpoints');
  const newest = Math.max(0, ...readdirSync(folder).filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number));
  return Array.from({ length: newest }, (_, i) => {
    const path = join(folder, String(i + 1));
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  });
}

function readLeaves(dir) {
  const path = join(dir, 'leaves.ndjson');
  const leaves = [];
  for (const line of existsSync(path) ? linesOf(path) : []) {
    const leaf = parseLeaf(line);
    if (!leaf) return { leaves, complete: false };
    leaves.push(leaf);
  }
  return { leaves, complete: true };
}

function verifyHistory(dir, keys, kept, findings) {
  const notes = readNotes(dir);
  const { leaves, complete } = readLeaves(dir);
  const found = (kind, checkpoint) => findings.push({ kind, checkpoint });
  const opened = [];
  let last = { n: 0, size: 0 };
  notes.forEach((signed, i) => {
    const n = i + 1;
    if (signed === '') return found('missing', n);
    let c;
    try {
      c = openNote(signed, keys);
    } catch {
      return found('changed', n);
    }
    if (c.n !== n) return found('reordered', n);
    if ((last.n > 0 && c.origin !== last.origin) || c.size <= last.size) return found('forked', n);
    opened.push(c);
    last = c;
  });
  const keptNote = kept && openCosigned(kept, keys);
  const root = roots(leaves, [...opened.map((c) => c.size), ...(keptNote ? [keptNote.size] : [])]);
  let trusted = { n: 0, size: 0 };
  for (const c of opened) {
    if (c.size > leaves.length) found(complete ? 'missing' : 'changed', c.n);
    else if (root.get(c.size) !== c.root) found('changed', c.n);
    else {
      trusted = c;
      continue;
    }
    break;
  }
  if (last.n === notes.length && (leaves.length > last.size || (leaves.length === last.size && !complete))) found('inserted', last.n);
  if (!keptNote && last.n > 0 && !last.isCosigned) found('changed', last.n);
  if (keptNote && keptNote.size > trusted.size) found('truncated', keptNote.n);
  else if (keptNote && (root.get(keptNote.size) !== keptNote.root || keptNote.origin !== trusted.origin)) found('forked', keptNote.n);
  return { trusted, leaves: leaves.slice(0, trusted.size) };
}

const groupBy = (list) => {
  const groups = new Map();
  for (const item of list) {
    if (!groups.has(item.stream)) groups.set(item.stream, []);
    groups.get(item.stream).push(item);
  }
  return groups;
};

function verifyExport(dir, keys, kept) {
  const findings = [];
  const { trusted, leaves } = verifyHistory(dir, keys, kept, findings);
  const records = [];
  for (const name of readdirSync(join(dir, 'events')).filter((n) => n.endsWith('.ndjson')).sort()) {
    let before = { stream: '', version: 0 };
    for (const line of linesOf(join(dir, 'events', name))) records.push((before = parseRecord(line, before)));
  }
  const [streams, signed] = [groupBy(records), groupBy(leaves)];
  for (const stream of new Set([...streams.keys(), ...signed.keys()])) {
    const damage = verifyStream(stream, streams.get(stream) ?? [], signed.get(stream) ?? []);
    if (damage) findings.push(damage);
  }
  return { checkpoint: trusted.n, streams: streams.size, events: records.length, findings };
}

function verifyProof(path, keys, kept) {
  const proof = JSON.parse(readFileSync(path, 'utf8'));
  const isConsistency = proof.format === 'ordersaga-audit-consistency/v1';
  if (!isConsistency && proof.format !== 'ordersaga-audit-proof/v1') throw new Error(`the format is ${proof.format}`);
  const c = kept ? openNote(proof.checkpoint, keys) : openCosigned(proof.checkpoint, keys);
  const of = [c];
  if (isConsistency) {
    const older = openNote(proof.older, keys);
    const isLater = (older.n < c.n && older.size < c.size) || older.text === c.text;
    if (!isLater || older.origin !== c.origin || !continues(older, c, proof.proof ?? [])) {
      throw new Error(`checkpoint ${c.n} does not continue checkpoint ${older.n}`);
    }
    of.push(older);
  }
  const keptText = kept && openCosigned(kept, keys).text;
  if (kept && of.every((note) => note.text !== keptText)) throw new Error('the proof is not of the checkpoint that was kept');
  if (isConsistency) return { checkpoint: c.n, streams: 0, events: 0, findings: [] };
  if (!parseLeaf(leafBytes(proof.leaf))) throw new Error('the leaf is malformed');
  if (!(proof.leafIndex >= 0 && proof.leafIndex < c.size && includes(proof.leaf, proof.leafIndex, c.size, proof.proof ?? [], c.root))) {
    throw new Error(`the leaf is not in checkpoint ${c.n}`);
  }
  let before = { stream: proof.leaf.stream, version: 0 };
  const records = (proof.events ?? []).map((r) => (before = parseRecord(Buffer.from(canonical(r)), before)));
  const foreign = records.find((r) => r.stream !== proof.leaf.stream);
  const damage = foreign ? { kind: 'inserted', stream: proof.leaf.stream, version: foreign.version } : verifyStream(proof.leaf.stream, records, [proof.leaf]);
  return { checkpoint: c.n, streams: 1, events: records.length, findings: damage ? [damage] : [] };
}

function main(args) {
  let [keys, kept, json, path] = ['', '', false, ''];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--key') keys += `${existsSync(args[++i]) ? readFileSync(args[i], 'utf8') : args[i]}\n`;
    else if (args[i] === '--checkpoint') kept = readFileSync(args[++i], 'utf8');
    else if (args[i] === '--json') json = true;
    else path = args[i];
  }
  const known = parseKeys(keys);
  const report = statSync(path).isDirectory() ? verifyExport(path, known, kept) : verifyProof(path, known, kept);
  report.findings.sort((a, b) => (a.checkpoint ?? 0) - (b.checkpoint ?? 0) || compareText(a.stream ?? '', b.stream ?? '') || (a.version ?? 0) - (b.version ?? 0));
  if (json) console.log(JSON.stringify(report));
  else {
    for (const f of report.findings) console.log(`${f.kind}: ${f.checkpoint ? `checkpoint ${f.checkpoint}` : `${f.stream}@${f.version}`}`);
    console.log(`checkpoint ${report.checkpoint}: ${report.events} events in ${report.streams} streams, ${report.findings.length} findings`);
  }
  return report.findings.length > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(`verify: ${error.message}`);
  process.exitCode = 2;
}
