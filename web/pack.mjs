// Packs the built console into one file for the program (src/api/console_assets.h says the format): every file raw, gzip and brotli,
// each only where it is smaller. The same input gives the same bytes.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [folder, out] = process.argv.slice(2);
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .sort();

const blobs = [];
let offset = 0;
const put = (bytes) => {
  blobs.push(bytes);
  const range = [offset, bytes.length];
  offset += bytes.length;
  return range;
};

const index = { files: [] };
for (const file of files) {
  const raw = readFileSync(file);
  const type = types[extname(file)];
  if (!type) throw new Error(`no content type for ${file}`);
  const path = relative(folder, file);
  const entry = {
    path,
    type,
    etag: `"${createHash('sha256').update(raw).digest('hex').slice(0, 32)}"`,
    immutable: path.startsWith('assets/'),
    raw: put(raw),
  };
  const gzip = gzipSync(raw, { level: 9 });
  if (gzip.length < raw.length) entry.gzip = put(gzip);
  const br = brotliCompressSync(raw, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
  });
  if (br.length < raw.length) entry.br = put(br);
  index.files.push(entry);
}
const head = Buffer.from(JSON.stringify(index));
writeFileSync(`${out}.new`, Buffer.concat([Buffer.from(`SORTIE-CONSOLE-1\n${head.length}\n`), head, ...blobs]));
renameSync(`${out}.new`, out);
console.log(`web: ${index.files.length} files, ${(offset / 1000).toFixed(0)} KB packed`);
