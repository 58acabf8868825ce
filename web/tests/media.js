// Pictures and sounds that are made, so that no binary files stand in the repository.

/** A landscape of a few shapes. @param {number} seed @returns {string} an SVG */
export function picture(seed) {
  const random = (n) => Math.abs(Math.sin(seed * 999 + n * 77.7)) % 1;
  const hue = Math.floor(random(1) * 360);
  const hill = (n, y, light) => `<path d="M0 ${y} C ${160 + random(n) * 120} ${y - 90 * random(n + 1) - 30}, ${420 + random(n + 2) * 90} ${y + 60}, 800 ${y - 40 * random(n + 3)} V500 H0Z" fill="hsl(${hue + n * 9} 38% ${light}%)"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="800" height="500" viewBox="0 0 800 500"><defs><linearGradient id="s" x1="0" y1="0" x2="0" y2="1"><stop stop-color="hsl(${hue} 62% 74%)"/><stop offset="1" stop-color="hsl(${hue + 40} 80% 90%)"/></linearGradient></defs><rect width="800" height="500" fill="url(#s)"/><circle cx="${180 + random(4) * 440}" cy="${90 + random(5) * 90}" r="${38 + random(6) * 30}" fill="hsl(${hue + 50} 95% 94%)"/>${hill(11, 300, 58)}${hill(23, 360, 44)}${hill(37, 430, 30)}</svg>`;
}

/** @param {string} path */
export function pictureOf(path) {
  return picture([...path].reduce((sum, letter) => sum + letter.charCodeAt(0), 0));
}

/** Two seconds of silence as WAV. */
export function silence() {
  const data = 16_000;
  const bytes = Buffer.alloc(44 + data, 128);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + data, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(8000, 24);
  bytes.writeUInt32LE(8000, 28);
  bytes.writeUInt16LE(1, 32);
  bytes.writeUInt16LE(8, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(data, 40);
  return bytes;
}
