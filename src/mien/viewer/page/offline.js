// The studio's backend inside a shared page: rigs of a few people, added up linearly. No server, no network.
(() => {
const LIMITS = { weight: [-1, 2], deviation: [-4, 4], intensity: [0, 2] };
const LONGEST = 60; // seconds
const GAP = 0.05; // seconds between onset, apex and offset
const clamp = (x, [low, high]) => Math.min(Math.max(x, low), high);
const jerk = (u) => u ** 3 * (10 - 15 * u + 6 * u * u);

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const [name, { kind, at, size, unit }] of Object.entries(head.arrays)) {
    const Kind = { f4: Float32Array, u4: Uint32Array, i2: Int16Array }[kind];
    const raw = new Kind(buffer, 4 + length + at, size);
    arrays[name] = kind === 'i2' ? Float32Array.from(raw, (x) => x * unit) : raw;
  }
  return { head, arrays };
}

const actions = {
  set_weight: (s, { name, value }) => {
    const { [name]: _, ...pose } = s.pose;
    return { ...s, pose: value ? { ...pose, [name]: clamp(value, LIMITS.weight) } : pose };
  },
  set_pose: (s, { pose }) => ({ ...s, pose }),
  set_identity: (s, { axis, value }) => ({ ...s, identity: s.identity.map((x, k) => (k === axis ? clamp(value, LIMITS.deviation) : x)) }),
  reset_identity: (s) => ({ ...s, identity: s.identity.map(() => 0) }),
  reset: (s) => ({ ...s, pose: {}, identity: s.identity.map(() => 0), intensity: 1 }),
  set_intensity: (s, { value }) => ({ ...s, intensity: clamp(value, LIMITS.intensity) }),
  pick: (s, { key }) => (key === s.person ? s : { ...s, person: key, identity: s.identity.map(() => 0) }),
  set_heat: (s, { kind }) => ({ ...s, heat: kind }),
  add_move: (s, { at }) => {
    const onset = clamp(at, [0, LONGEST - 1]);
    const move = { pose: s.pose, onset, apex: onset + 0.4, offset: onset + 1 };
    return { ...s, moves: [...s.moves, move], duration: Math.max(s.duration, Math.round((move.offset + 0.2) * 100) / 100) };
  },
  set_move: (s, { index, onset, apex, offset }) => {
    const first = clamp(onset, [0, s.duration - 2 * GAP]);
    const middle = clamp(apex, [first + GAP, s.duration - GAP]);
    const last = clamp(offset, [middle + GAP, s.duration]);
    return { ...s, moves: s.moves.map((m, k) => (k === index ? { ...m, onset: first, apex: middle, offset: last } : m)) };
  },
  remove_move: (s, { index }) => ({ ...s, moves: s.moves.filter((_, k) => k !== index) }),
  clear_moves: (s) => ({ ...s, moves: [] }),
  set_duration: (s, { seconds }) => {
    const shorter = { ...s, duration: clamp(seconds || 3, [0.5, LONGEST]) };
    return shorter.moves.reduce((made, move, index) => actions.set_move(made, { ...move, index }), shorter);
  },
  refresh: (s) => s,
};

class Offline {
  async describe() {
    const { head, arrays } = await unpacked(document.querySelector('#payload').textContent);
    Object.assign(this, { head, arrays, past: [], future: [], merging: '' });
    const { faces, template, colors, shade } = arrays;
    this.rims = head.eyes.flat();
    this.state = {
      people: head.people, person: head.people[0].key, pose: {}, identity: head.axes.map(() => 0), intensity: 1, own: true,
      detail: true, performer: null, style: null, variation: 0, heat: head.parts.length ? 'texture' : 'none', shown: [0], moves: [], take: null, duration: 3, fps: 30,
    };
    return { ...head, appearance: { faces, template, colors, shade, eyes: head.eyes, mouth: head.mouth } };
  }

  // The appearance that wears the textures which the model makes.
  async appearance() {
    const { faces, template, colors, shade, map, corners, tints, uv } = this.arrays;
    const { eyes, mouth, parts } = this.head;
    return { faces, template, colors, shade, eyes, mouth, map, corners, tints, uv, parts };
  }

  async texture() {
    return this.head.pictures[this.state.person];
  }

  async act(name, args, merge) {
    if (name === 'undo' || name === 'redo') {
      const [from, to] = name === 'undo' ? [this.past, this.future] : [this.future, this.past];
      if (from.length) { to.push(this.state); this.state = from.pop(); }
      this.merging = '';
    } else {
      const next = actions[name](this.state, args);
      if (next !== this.state) {
        if (!merge || merge !== this.merging) this.past.push(this.state);
        this.future = [];
        this.merging = merge;
        this.state = next;
      }
    }
    return this.frame();
  }

  weights(pose) {
    return this.head.names.map((name) => pose[name] ?? 0);
  }

  // Base, identity and weighted targets, as flat vertices.
  face(person, weights, identity, intensity) {
    const made = Float32Array.from(this.arrays[`base ${person}`]);
    const size = made.length;
    const add = (fields, values) => values.forEach((value, k) => {
      if (!value) return;
      const start = k * size;
      for (let i = 0; i < size; i++) made[i] += value * fields[start + i];
    });
    add(this.arrays.identity, identity);
    add(this.arrays[`targets ${person}`], weights.map((weight) => weight * intensity));
    return made;
  }

  frame() {
    const { pose, person, identity, intensity, heat } = this.state;
    const state = { ...this.state, undo: this.past.length > 0, redo: this.future.length > 0 };
    const vertices = this.face(person, this.weights(pose), identity, intensity);
    const rest = this.face(person, [], identity, 1);
    const pane = { model: 0, problem: '', vertices };
    pane.rims = Float32Array.from(this.rims.flatMap((i) => [rest[3 * i], rest[3 * i + 1], rest[3 * i + 2]]));
    if (heat === 'texture') Object.assign(pane, { appearance: '*', picture: person });
    if (heat === 'rest') {
      pane.heat = Float32Array.from({ length: vertices.length / 3 }, (_, i) => Math.hypot(
        vertices[3 * i] - rest[3 * i], vertices[3 * i + 1] - rest[3 * i + 1], vertices[3 * i + 2] - rest[3 * i + 2]));
      pane.maximum = Math.max(1, Math.ceil(pane.heat.reduce((most, x) => Math.max(most, x), 0)));
      pane.mean = pane.heat.reduce((sum, x) => sum + x, 0) / pane.heat.length;
    }
    return { state, panes: [pane] };
  }

  async portrait(key) {
    return this.arrays[`base ${key}`];
  }

  async clip() {
    const { moves, duration, fps, person, identity, intensity } = this.state;
    const frames = Math.round(duration * fps) + 1;
    const size = this.arrays[`base ${person}`].length;
    const vertices = new Float32Array(frames * size);
    for (let frame = 0; frame < frames; frame++) {
      const total = this.head.names.map(() => 0);
      for (const { pose, onset, apex, offset } of moves) {
        const time = frame / fps;
        const u = jerk(clamp(Math.min((time - onset) / (apex - onset), (offset - time) / (offset - apex)), [0, 1]));
        this.weights(pose).forEach((weight, k) => { total[k] += u * weight; });
      }
      vertices.set(this.face(person, total, identity, intensity), frame * size);
    }
    return { frames, fps, panes: [{ model: 0, problem: '', vertices }] };
  }

  async export() {
    const { pose, person, identity, intensity } = this.state;
    const v = this.face(person, this.weights(pose), identity, intensity);
    const { faces } = this.arrays;
    const lines = ['# millimeters'];
    for (let i = 0; i < v.length; i += 3) lines.push(`v ${v[i].toFixed(4)} ${v[i + 1].toFixed(4)} ${v[i + 2].toFixed(4)}`);
    for (let i = 0; i < faces.length; i += 3) lines.push(`f ${faces[i] + 1} ${faces[i + 1] + 1} ${faces[i + 2] + 1}`);
    return { blob: new Blob([`${lines.join('\n')}\n`]), name: `${person}.obj` };
  }
}

MienStudio.start(new Offline());
})();
