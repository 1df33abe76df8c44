// The studio's backend in the Python process that opened this page.
(() => {
const key = document.querySelector('meta[name="mien-key"]').content;

async function ask(path, { body = null, json = true } = {}) {
  let answer;
  try {
    answer = await fetch(path, { method: body === null ? 'GET' : 'POST', body, headers: { 'X-Mien-Key': key }, cache: 'no-store' });
  } catch {
    throw new Error('The studio does not answer: is “mien view” still running?');
  }
  if (!answer.ok) {
    const text = await answer.text();
    let [message, helps] = [text, ''];
    try { ({ error: message, helps } = JSON.parse(text)); } catch { /* plain text */ }
    throw Object.assign(new Error(message || `The studio answered ${answer.status}`), { helps });
  }
  return json ? unpack(await answer.arrayBuffer()) : answer;
}

// `u32` length, JSON, float32 numbers.
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { head, numbers: new Float32Array(buffer, 4 + length) };
}

function reader(numbers) {
  let at = 0;
  return (count) => numbers.subarray(at, (at += count));
}

function frame({ head, numbers }) {
  const take = reader(numbers);
  for (const pane of head.panes) for (const [name, size] of pane.arrays) pane[name] = take(size);
  return head;
}

async function download(answer, otherwise) {
  const name = /filename="([^"]+)"/.exec(answer.headers.get('Content-Disposition'))?.[1] ?? otherwise;
  return { blob: await answer.blob(), name };
}

function appearanceOf({ layout }, numbers) {
  const take = reader(numbers);
  const appearance = { eyes: layout.eyes, mouth: layout.mouth };
  appearance.faces = Uint32Array.from(take(layout.faces));
  for (const name of ['template', 'colors', 'shade']) appearance[name] = take(layout[name]);
  if (!layout.parts) return appearance;
  for (const name of ['map', 'corners', 'tints', 'uv']) appearance[name] = take(layout[name]);
  appearance.map = Uint32Array.from(appearance.map);
  appearance.corners = Uint32Array.from(appearance.corners);
  appearance.parts = layout.parts;
  return appearance;
}

const backend = {
  async describe() {
    const { head, numbers } = await ask('api/describe');
    return { ...head, appearance: appearanceOf(head, numbers) };
  },
  async appearance(person) {
    const { head, numbers } = await ask(`api/appearance?person=${encodeURIComponent(person)}`);
    return appearanceOf(head, numbers);
  },
  async act(name, args, merge) {
    return frame(await ask('api/act', { body: JSON.stringify({ action: name, arguments: args, merge }) }));
  },
  async load(file) {
    return frame(await ask(`api/load?name=${encodeURIComponent(file.name)}`, { body: file }));
  },
  async watch(revision, queue) {
    return (await ask(`api/watch?revision=${revision}&queue=${queue}`)).head;
  },
  async report(model) {
    return (await ask(`api/report?model=${model}`)).head;
  },
  async cancel(job) {
    await ask('api/cancel', { body: JSON.stringify({ job }) });
  },
  async sliders() {
    return (await ask('api/sliders')).head;
  },
  async like(person) {
    return frame(await ask('api/like', { body: JSON.stringify({ person }) }));
  },
  async picking(person) {
    const { head, numbers } = await ask(`api/picking?person=${encodeURIComponent(person)}`);
    const take = reader(numbers);
    return { ...head, vertices: take(head.layout.vertices), faces: Uint32Array.from(take(head.layout.faces)) };
  },
  async register(pairs) {
    return frame(await ask('api/register', { body: JSON.stringify({ pairs }) }));
  },
  async table(pairs) {
    return download(await ask('api/table', { body: JSON.stringify({ pairs }), json: false }), 'landmarks.csv');
  },
  async landmarks(file) {
    return (await ask(`api/landmarks?name=${encodeURIComponent(file.name)}`, { body: file })).head;
  },
  async texture(model) {
    return URL.createObjectURL(await (await ask(`api/texture?model=${model}`, { json: false })).blob());
  },
  async portrait(person) {
    return (await ask(`api/portrait?person=${encodeURIComponent(person)}`)).numbers;
  },
  async clip() {
    const { head, numbers } = await ask('api/clip');
    const take = reader(numbers);
    for (const pane of head.panes) if (!pane.problem) pane.vertices = take(pane.size);
    return head;
  },
  async export(kind) {
    return download(await ask(`api/export?kind=${kind}`, { json: false }), `face.${kind}`);
  },
};
MienStudio.start(backend);
})();
