// Landmarks that a person clicks: a dot on the template, then the same place on the head. A dialog over the page.
(() => {
const {
  Box3, BufferAttribute, BufferGeometry, DirectionalLight, DoubleSide, Group, HemisphereLight, Mesh, MeshLambertMaterial,
  OrbitControls, PerspectiveCamera, Scene, Vector3, WebGLRenderer,
} = THREE;
const { smoothNormals } = MienStage;
const { button, element, icon, save } = MienWidgets;
const find = (selector) => document.querySelector(selector);

const FIELD_OF_VIEW = 20; // degrees
const ROOM = 1.25; // times the mesh's own size is in the picture
const STILL = 5; // pixels that a finger or mouse may move in a click
const CLAY = 0xd2a98f, STONE = 0xbcb7ae;
const QUARTER = Math.PI / 2;
const TURNS = [[0, 0, 0], [-QUARTER, 0, 0], [QUARTER, 0, 0], [0, 0, QUARTER], [0, 0, -QUARTER], [0, 0, Math.PI]]; // which way was up
const TABLES = /\.(csv|tsv|txt|json|pp|pts)$/i;
// What places a head best comes first: corners of the eyes and the mouth, the tip of the nose, the chin.
const FIRST = [36, 45, 30, 48, 54, 39, 42, 8].map((number) => `ibug_${number}`);

// Where a ray first meets flat vertices' triangles, as [x, y, z], or null (Moeller and Trumbore).
function meets(origin, way, vertices, faces) {
  const [ox, oy, oz] = origin;
  const [dx, dy, dz] = way;
  let nearest = Infinity;
  for (let i = 0; i < faces.length; i += 3) {
    const a = 3 * faces[i], b = 3 * faces[i + 1], c = 3 * faces[i + 2];
    const ax = vertices[a], ay = vertices[a + 1], az = vertices[a + 2];
    const ux = vertices[b] - ax, uy = vertices[b + 1] - ay, uz = vertices[b + 2] - az;
    const vx = vertices[c] - ax, vy = vertices[c + 1] - ay, vz = vertices[c + 2] - az;
    const px = dy * vz - dz * vy, py = dz * vx - dx * vz, pz = dx * vy - dy * vx;
    const volume = ux * px + uy * py + uz * pz;
    if (volume === 0) continue; // the ray lies in the triangle's plane
    const tx = ox - ax, ty = oy - ay, tz = oz - az;
    const u = (tx * px + ty * py + tz * pz) / volume;
    if (u < 0 || u > 1) continue;
    const qx = ty * uz - tz * uy, qy = tz * ux - tx * uz, qz = tx * uy - ty * ux;
    const v = (dx * qx + dy * qy + dz * qz) / volume;
    if (v < 0 || u + v > 1) continue;
    const distance = (vx * qx + vy * qy + vz * qz) / volume;
    if (distance > 0 && distance < nearest) nearest = distance;
  }
  return Number.isFinite(nearest) ? [ox + nearest * dx, oy + nearest * dy, oz + nearest * dz] : null;
}

// A mesh that can be turned and clicked, with named marks over it.
class View {
  constructor(container, vertices, faces, color, onclick) {
    Object.assign(this, { container, vertices, faces, marks: [], turn: 0 });
    this.renderer = new WebGLRenderer({ alpha: true, antialias: true });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.layer = element('div', { class: 'marks' });
    container.replaceChildren(this.renderer.domElement, this.layer);
    this.geometry = new BufferGeometry();
    const normals = new Float32Array(vertices.length);
    smoothNormals(vertices, faces, normals);
    this.geometry.setAttribute('position', new BufferAttribute(vertices, 3));
    this.geometry.setAttribute('normal', new BufferAttribute(normals, 3));
    this.geometry.setIndex(new BufferAttribute(faces, 1));
    this.group = new Group();
    this.group.add(new Mesh(this.geometry, new MeshLambertMaterial({ color, side: DoubleSide })));
    this.scene = new Scene();
    const sun = new DirectionalLight(0xffffff, 2.2);
    sun.position.set(-0.5, 0.7, 1);
    this.scene.add(this.group, new HemisphereLight(0xffffff, 0x8a7f78, 1.3), sun);
    this.camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, 0.1, 1);
    this.controls = new OrbitControls(this.camera, this.renderer.domElement);
    this.controls.zoomToCursor = true;
    this.controls.addEventListener('change', () => this.draw());
    this.watchClicks(onclick);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(container);
    this.resize();
    this.lookAtAll();
  }

  watchClicks(onclick) {
    const canvas = this.renderer.domElement;
    let down = null;
    canvas.addEventListener('pointerdown', (event) => { down = event.isPrimary && event.button === 0 ? event : null; });
    canvas.addEventListener('pointerup', (event) => {
      if (!down || Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > STILL) return;
      const place = canvas.getBoundingClientRect();
      const at = this.hit(event.clientX - place.left, event.clientY - place.top);
      if (at) onclick(at);
    });
  }

  lookAtAll() {
    const { min, max } = new Box3().setFromObject(this.group);
    const middle = min.clone().add(max).multiplyScalar(0.5);
    const size = max.clone().sub(min);
    const half = ROOM * Math.max(size.y, size.x / this.camera.aspect) / 2;
    const distance = half / Math.tan((FIELD_OF_VIEW * Math.PI) / 360) + size.z / 2;
    Object.assign(this.camera, { near: distance / 500, far: 20 * distance });
    this.camera.updateProjectionMatrix();
    this.controls.target.copy(middle);
    this.camera.position.set(0, 0, distance).add(middle);
    this.controls.update();
    this.draw();
  }

  // Sets a mesh upright whose file has another way up.
  turnOn() {
    this.turn = (this.turn + 1) % TURNS.length;
    this.group.rotation.set(...TURNS[this.turn]);
    this.group.updateMatrixWorld(true);
    this.lookAtAll();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.container;
    if (!width || !height) return;
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  // The place of the mesh below a pixel, in its own coordinates.
  hit(x, y) {
    const { clientWidth: width, clientHeight: height } = this.container;
    const far = new Vector3((2 * x) / width - 1, 1 - (2 * y) / height, 1).unproject(this.camera);
    const origin = this.group.worldToLocal(this.camera.position.clone());
    const way = this.group.worldToLocal(far).sub(origin).normalize();
    return meets(origin.toArray(), way.toArray(), this.vertices, this.faces);
  }

  // Marks: {at, label, kind, onclick}; those with something to do are buttons.
  setMarks(marks) {
    this.marks = marks.map(({ at, label, kind, onclick }) => {
      const shape = element(onclick ? 'button' : 'i', { type: onclick ? 'button' : null, class: `mark ${kind}`, 'aria-label': label, 'data-label': label, onclick });
      return { at: new Vector3(...at), shape };
    });
    this.layer.replaceChildren(...this.marks.map(({ shape }) => shape));
    this.draw();
  }

  draw() {
    if (this.waiting || !this.renderer) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      const { clientWidth: width, clientHeight: height } = this.container;
      this.renderer.render(this.scene, this.camera);
      for (const { at, shape } of this.marks) {
        const seen = this.group.localToWorld(at.clone()).project(this.camera);
        shape.hidden = Math.abs(seen.x) > 1 || Math.abs(seen.y) > 1;
        shape.style.transform = `translate(${((1 + seen.x) * width) / 2}px, ${((1 - seen.y) * height) / 2}px)`;
      }
    });
  }

  dispose() {
    cancelAnimationFrame(this.waiting);
    this.watcher.disconnect();
    this.controls.dispose();
    this.geometry.dispose();
    this.renderer.dispose();
    this.renderer.forceContextLoss(); // browsers allow a page few of them
    this.renderer = null;
    this.container.replaceChildren();
  }
}

class Picking {
  constructor(studio) {
    this.studio = studio;
    this.dialog = find('#picking');
    const chooser = element('input', { type: 'file', hidden: true, id: 'table-chooser', accept: '.csv,.tsv,.txt,.json,.pp,.pts',
      onchange: () => { if (chooser.files.length) this.load(chooser.files[0]); chooser.value = ''; } });
    this.saver = button('Save', { icon: 'save', title: 'Save the landmarks as CSV', onclick: () => this.save() });
    this.clearer = button('Remove all', { onclick: () => this.change({}) });
    find('#picking-tools').append(chooser,
      button('Turn', { icon: 'reset', title: 'The head lies on its side or back: turn it upright', onclick: () => this.head.turnOn() }),
      button('Load', { icon: 'upload', title: 'Load landmarks from a table', onclick: () => chooser.click() }),
      this.saver, this.clearer, button('Done', { kind: 'main', onclick: () => this.dialog.close() }));
    this.dialog.addEventListener('close', () => this.close());
  }

  get isOpen() {
    return this.dialog.open;
  }

  // On a loaded person, or without a key on the head that was just refused.
  async open(key = '') {
    try {
      this.about = await this.studio.backend.picking(key);
    } catch (error) {
      this.studio.tell(error);
      return;
    }
    const { name, landmarks, vertices, faces } = this.about;
    this.spots = new Map(landmarks.map((spot) => [spot.name, spot]));
    this.order = [...FIRST.filter((spot) => this.spots.has(spot)), ...landmarks.map((spot) => spot.name).filter((spot) => !FIRST.includes(spot))];
    Object.assign(this, { pairs: {}, laid: {}, selected: this.order[0], wanted: null });
    this.dialog.showModal();
    find('#picking-name').textContent = name;
    const appearance = this.studio.about.appearance;
    this.template = new View(find('#picking-template'), appearance.template, appearance.faces, CLAY, (at) => this.select(this.closest(at)));
    this.head = new View(find('#picking-head'), vertices, faces, STONE, (at) => this.pick(at));
    this.say('');
    this.reflect();
  }

  close() {
    this.template?.dispose();
    this.head?.dispose();
    this.wanted = null;
    this.about = null;
  }

  // The named landmark next to a place on the template.
  closest(at) {
    const away = ({ at: [x, y, z] }) => Math.hypot(x - at[0], y - at[1], z - at[2]);
    return [...this.spots.values()].reduce((best, spot) => (away(spot) < away(best) ? spot : best)).name;
  }

  select(name) {
    this.selected = name;
    this.reflect();
  }

  pick(at) {
    const pairs = { ...this.pairs, [this.selected]: at };
    const next = this.order.find((name) => !(name in pairs));
    if (!(this.selected in this.pairs) && next) this.selected = next;
    this.change(pairs);
  }

  remove(name) {
    const { [name]: _, ...pairs } = this.pairs;
    this.selected = name;
    this.change(pairs);
  }

  change(pairs) {
    this.pairs = pairs;
    this.laid = {};
    this.reflect();
    if (Object.keys(pairs).length < this.about.fewest) {
      this.wanted = null;
      this.say('');
      return;
    }
    this.wanted = pairs;
    this.register();
  }

  // One registration at a time; of what was picked meanwhile only the newest.
  async register() {
    if (this.registering) return;
    this.registering = true;
    while (this.wanted) {
      const { wanted: pairs, about } = this;
      this.wanted = null;
      this.say('Fitting the model onto the head …', 'working');
      try {
        const answer = await this.studio.backend.register(pairs);
        await this.studio.receive(answer);
        if (this.about !== about || this.pairs !== pairs) continue; // closed, or picked on
        this.laid = answer.laid;
        this.say(this.studio.somebody().note);
        this.reflect();
      } catch (error) {
        if (this.about === about && this.pairs === pairs) this.say(error.message ?? String(error), 'error');
      }
    }
    this.registering = false;
  }

  async save() {
    try {
      const { blob, name } = await this.studio.backend.table(this.pairs);
      save(blob, name);
    } catch (error) {
      this.say(error.message, 'error');
    }
  }

  async load(file) {
    try {
      const { pairs, left_out: others } = await this.studio.backend.landmarks(file);
      this.selected = this.order.find((name) => !(name in pairs)) ?? this.order[0];
      this.change(pairs);
      if (others.length) this.say(`The template has no landmark of these names: ${others.join(', ')}.`);
    } catch (error) {
      this.say(error.message, 'error');
    }
  }

  // A file that was dropped on the dialog.
  drop(file) {
    if (TABLES.test(file.name)) this.load(file);
    else this.say(`“${file.name}” is no table of landmarks: drop CSV, PP, PTS or JSON here, and heads on the page behind.`, 'error');
  }

  // A sentence of its own, or else what to do next.
  say(text, kind = '') {
    const count = Object.keys(this.pairs).length;
    const left = this.about.fewest - count;
    const next = left > 0 ? `${left} more ${left === 1 ? 'pair' : 'pairs'}, and the model is fitted onto the head.` : '';
    const line = find('#picking-status');
    line.textContent = text || next;
    line.className = `hint ${kind}`;
    line.setAttribute('role', kind === 'error' ? 'alert' : 'status');
  }

  reflect() {
    const { pairs, laid, selected } = this;
    const label = (name) => this.spots.get(name)?.label ?? name;
    const kind = (name) => `${name in pairs ? 'done' : ''} ${name === selected ? 'on' : ''}`;
    this.template.setMarks([...this.spots.values()].map(({ name, at }) => ({ at, label: label(name), kind: kind(name), onclick: () => this.select(name) })));
    this.head.setMarks([
      ...Object.entries(laid).filter(([name]) => this.spots.has(name)).map(([name, at]) => ({ at, label: label(name), kind: 'laid' })),
      ...Object.entries(pairs).map(([name, at]) => ({ at, label: label(name), kind: kind(name) }))]);
    find('#picking-next').textContent = label(selected);
    const names = [...Object.keys(pairs), ...this.order.filter((name) => !(name in pairs))];
    find('#picking-list').replaceChildren(...names.map((name) => element('li', { class: kind(name), 'data-name': name },
      element('button', { type: 'button', class: 'quiet', 'aria-pressed': String(name === selected), onclick: () => this.select(name) }, label(name)),
      name in pairs ? button(`Remove ${label(name)}`, { icon: 'close', kind: 'only quiet', onclick: () => this.remove(name) }) : null)));
    find('#picking-list li.on')?.scrollIntoView({ block: 'nearest' });
    find('#picking-count').textContent = `${Object.keys(pairs).length} picked`;
    this.saver.disabled = this.clearer.disabled = !Object.keys(pairs).length;
  }
}

window.MienPicking = { Picking, meets };
})();
