// The rig of a report: a GLB with morph targets, a slider for each, and its clip.
(() => {
const {
  AnimationMixer, BackSide, Box3, BufferAttribute, BufferGeometry, Color, DirectionalLight, FrontSide, GLTFLoader,
  HemisphereLight, Mesh, MeshBasicMaterial, MeshPhysicalMaterial, NeutralToneMapping, OrbitControls, PCFSoftShadowMap,
  PerspectiveCamera, Scene, SRGBColorSpace, Vector3, WebGLRenderer,
} = THREE;

const CLAY = 0xceab94;
const INSIDE = 0x4a2a25;
const HOLLOW = 0x3a2622;

function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

// Vertices at one place count as one: texture seams are not holes.
function welded(position) {
  const known = new Map();
  const same = new Uint32Array(position.count);
  for (let i = 0; i < position.count; i++) {
    const key = [position.getX(i), position.getY(i), position.getZ(i)].map((x) => Math.round(x * 1e5)).join();
    if (!known.has(key)) known.set(key, i);
    same[i] = known.get(key);
  }
  return same;
}

// Directed edges without a partner, chained into loops of vertex numbers.
function boundaryLoops(geometry) {
  const same = welded(geometry.attributes.position);
  const index = geometry.index.array;
  const edges = new Set();
  for (let i = 0; i < index.length; i += 3) {
    for (let k = 0; k < 3; k++) edges.add(`${same[index[i + k]]},${same[index[i + ((k + 1) % 3)]]}`);
  }
  const next = new Map();
  for (const edge of edges) {
    const [a, b] = edge.split(',');
    if (!edges.has(`${b},${a}`)) next.set(+b, +a);
  }
  const loops = [];
  while (next.size) {
    const loop = [];
    let at = next.keys().next().value;
    while (next.has(at)) {
      loop.push(at);
      const to = next.get(at);
      next.delete(at);
      at = to;
    }
    loops.push(loop);
  }
  return loops;
}

// How many pieces hang together: eyeballs or teeth show through the slits of a face that has them.
function pieces(geometry) {
  const parent = welded(geometry.attributes.position);
  const root = (i) => {
    while (parent[i] !== i) i = parent[i] = parent[parent[i]];
    return i;
  };
  const index = geometry.index.array;
  for (let i = 0; i < index.length; i += 3) {
    const a = root(index[i]);
    for (const other of [index[i + 1], index[i + 2]]) parent[root(other)] = a;
  }
  const roots = new Set();
  for (const vertex of index) roots.add(root(vertex));
  return roots.size;
}

// Dark caps over the slits of lids and lips, on the same vertices: they move with every morph target.
function capsOf(geometry) {
  const position = geometry.attributes.position;
  const place = (i) => new Vector3().fromBufferAttribute(position, i);
  const length = (loop) => loop.reduce(
    (sum, vertex, k) => sum + place(vertex).distanceTo(place(loop[(k + 1) % loop.length])), 0);
  const open = pieces(geometry) === 1 ? boundaryLoops(geometry) : [];
  const loops = open.map((loop) => [length(loop), loop]).sort((a, b) => b[0] - a[0]);
  const triangles = [];
  for (const [size, loop] of loops.slice(1)) {
    if (size > 0.6 * loops[0][0]) continue;
    // A strip from one end to the other: slits are long and thin, a fan would fold over them.
    let low = 0;
    let high = loop.length - 1;
    while (low < high - 1) {
      triangles.push(loop[low], loop[low + 1], loop[high]);
      low += 1;
      if (low < high - 1) triangles.push(loop[low], loop[high - 1], loop[high]);
      high -= 1;
    }
  }
  const caps = new BufferGeometry();
  caps.setAttribute('position', position);
  caps.setIndex(triangles);
  caps.morphAttributes = { position: geometry.morphAttributes.position ?? [] };
  caps.morphTargetsRelative = geometry.morphTargetsRelative;
  return caps;
}

// Colors of the V original vertices; repeats at texture seams follow them in the file.
function paint(mesh, colors) {
  const count = mesh.geometry.attributes.position.count;
  const repeats = mesh.userData.splitVertices ?? [];
  const known = colors.length / 3;
  const linear = new Float32Array(3 * count);
  const color = new Color();
  for (let i = 0; i < count; i++) {
    const from = 3 * (i < known ? i : repeats[i - known] ?? 0);
    color.setRGB(colors[from] / 255, colors[from + 1] / 255, colors[from + 2] / 255, SRGBColorSpace);
    color.toArray(linear, 3 * i);
  }
  mesh.geometry.setAttribute('color', new BufferAttribute(linear, 3));
}

function dressed(mesh) {
  if (!mesh.geometry.attributes.normal) mesh.geometry.computeVertexNormals();
  const map = mesh.material.map ?? null;
  const painted = mesh.geometry.hasAttribute('color');
  mesh.material = new MeshPhysicalMaterial({
    color: map || painted ? 0xffffff : CLAY, map, vertexColors: painted, roughness: 0.62, metalness: 0, clearcoat: 0.08,
    clearcoatRoughness: 0.5, side: FrontSide, shadowSide: FrontSide,
  });
  const inside = new Mesh(mesh.geometry, new MeshBasicMaterial({ color: INSIDE, side: BackSide }));
  const holes = new Mesh(capsOf(mesh.geometry), new MeshBasicMaterial({
    color: HOLLOW, side: 2, polygonOffset: true, polygonOffsetFactor: 2, polygonOffsetUnits: 2,
  }));
  for (const twin of [inside, holes]) {
    twin.morphTargetInfluences = mesh.morphTargetInfluences; // one array: they move together
    twin.morphTargetDictionary = mesh.morphTargetDictionary;
    twin.frustumCulled = false;
    mesh.add(twin);
  }
  mesh.frustumCulled = false;
  mesh.castShadow = mesh.receiveShadow = true;
}

// Key from the upper left, with a shadow; cool fill; rim from behind.
function lights(scene, center, span) {
  scene.add(new HemisphereLight(0xf7f8ff, 0xa8968a, 1.45));
  for (const [color, power, x, y, z] of [
    [0xfff1e0, 2.3, -0.5, 0.62, 0.6], [0xdfe8ff, 0.7, 0.75, 0.05, 0.66], [0xffffff, 1.0, 0.8, 0.35, -0.5],
  ]) {
    const light = new DirectionalLight(color, power);
    light.position.set(x, y, z).multiplyScalar(2 * span).add(center);
    light.target.position.copy(center);
    scene.add(light, light.target);
    if (power < 2) continue;
    light.castShadow = true;
    light.shadow.mapSize.set(2048, 2048);
    light.shadow.normalBias = 0.004 * span;
    light.shadow.radius = 9;
    light.shadow.intensity = 0.4;
    const { camera } = light.shadow;
    camera.left = camera.bottom = -0.75 * span;
    camera.right = camera.top = 0.75 * span;
    camera.near = 0.5 * span;
    camera.far = 4 * span;
  }
}

function element(tag, attributes, parent, text) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

class RigView {
  constructor(root, gltf) {
    this.root = root;
    this.stage = root.querySelector('.stage');
    this.rows = [];
    this.scene = new Scene();
    this.scene.add(gltf.scene);
    this.meshes = [];
    gltf.scene.traverse((item) => { if (item.isMesh) this.meshes.push(item); });
    const colors = root.querySelector('.rig-colors');
    if (colors) this.meshes.forEach((mesh) => paint(mesh, new Uint8Array(bytesOf(colors.textContent))));
    this.meshes.forEach(dressed);
    this.renderer = new WebGLRenderer({ antialias: true, alpha: true, preserveDrawingBuffer: true });
    this.renderer.outputColorSpace = SRGBColorSpace;
    this.renderer.toneMapping = NeutralToneMapping;
    this.renderer.toneMappingExposure = 1.18;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.stage.append(this.renderer.domElement);
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = PCFSoftShadowMap;
    this.frame();
    lights(this.scene, this.controls.target, this.span);
    this.clip = gltf.animations[0] ?? null;
    this.mixer = this.clip ? new AnimationMixer(gltf.scene) : null;
    if (this.mixer) this.mixer.clipAction(this.clip).play();
    this.playing = false;
    this.last = null;
    this.rows = this.sliders();
    this.transport();
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.resize();
    this.neutral();
  }

  frame() {
    // The neutral alone: a box around all targets at once would make the face small.
    const box = new Box3();
    for (const mesh of this.meshes) {
      mesh.updateWorldMatrix(true, false);
      box.union(new Box3().setFromBufferAttribute(mesh.geometry.attributes.position).applyMatrix4(mesh.matrixWorld));
    }
    const center = box.getCenter(new Vector3());
    const size = box.getSize(new Vector3());
    this.span = Math.max(size.y, size.x) * 1.2;
    this.camera = new PerspectiveCamera(18, 1, this.span / 50, this.span * 50);
    this.camera.position.set(center.x, center.y, center.z + this.span / (2 * Math.tan((9 * Math.PI) / 180)));
    this.controls = new OrbitControls(this.camera, this.renderer.domElement);
    this.controls.target.copy(center);
    this.controls.enableDamping = false;
    this.controls.minDistance = this.span * 0.6;
    this.controls.maxDistance = this.span * 8;
    this.controls.addEventListener('change', () => this.draw());
    this.controls.update();
  }

  sliders() {
    const panel = this.root.querySelector('.sliders');
    const names = Object.keys(this.meshes[0].morphTargetDictionary ?? {});
    return names.map((name) => {
      const line = element('label', { class: 'slider' }, panel);
      element('span', {}, line, name.replaceAll('_', ' '));
      const input = element('input', { type: 'range', min: 0, max: 1, step: 0.01, value: 0 }, line);
      const output = element('output', {}, line, '0.00');
      input.addEventListener('input', () => {
        this.pause();
        this.set(name, +input.value);
        this.show();
        this.draw();
      });
      return { name, input, output };
    });
  }

  transport() {
    this.button = this.root.querySelector('.play');
    this.scrub = this.root.querySelector('.scrub');
    this.root.querySelector('.reset').addEventListener('click', () => { this.pause(); this.neutral(); });
    if (!this.mixer) {
      this.button.hidden = this.scrub.hidden = true;
      return;
    }
    this.scrub.max = this.clip.duration;
    this.button.addEventListener('click', () => (this.playing ? this.pause() : this.play()));
    this.scrub.addEventListener('input', () => { this.pause(); this.setTime(+this.scrub.value); });
  }

  set(name, value) {
    for (const mesh of this.meshes) {
      const index = mesh.morphTargetDictionary?.[name];
      if (index !== undefined) mesh.morphTargetInfluences[index] = value;
    }
  }

  neutral() {
    for (const { name } of this.rows) this.set(name, 0);
    this.show();
    this.draw();
  }

  setTime(time) {
    if (!this.mixer) return;
    this.mixer.setTime(Math.min(time, this.clip.duration - 1e-4));
    this.show();
    this.draw();
  }

  show() {
    const mesh = this.meshes[0];
    for (const { name, input, output } of this.rows) {
      const value = mesh.morphTargetInfluences[mesh.morphTargetDictionary[name]];
      input.value = value;
      output.textContent = value.toFixed(2);
      input.parentElement.classList.toggle('active', value > 0.005);
    }
  }

  play() {
    this.playing = true;
    this.last = null;
    this.button.textContent = 'Pause';
    requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    this.playing = false;
    this.button.textContent = 'Play';
  }

  tick(now) {
    if (!this.playing) return;
    const step = this.last === null ? 0 : (now - this.last) / 1000;
    this.last = now;
    const time = (+this.scrub.value + step) % this.clip.duration;
    this.scrub.value = time;
    this.setTime(time);
    requestAnimationFrame((later) => this.tick(later));
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.renderer.setSize(width, height);
    this.camera.aspect = width / height;
    // Portrait stages would cut the face off at the sides: widen the view instead.
    this.camera.fov = width >= height ? 18 : (360 / Math.PI) * Math.atan(Math.tan(Math.PI / 20) * (height / width));
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  draw() {
    this.renderer.render(this.scene, this.camera);
  }
}

function start(root) {
  const data = bytesOf(root.querySelector('.rig-data').textContent);
  const fail = (error) => {
    root.querySelector('.stage').textContent = `The 3D view could not start: ${error.message ?? error}`;
    root.dataset.state = 'failed';
  };
  new GLTFLoader().parse(data, '', (gltf) => {
    try {
      root.view = new RigView(root, gltf);
      root.dataset.state = 'ready';
    } catch (error) {
      fail(error);
    }
  }, fail);
}

document.querySelectorAll('.rig').forEach(start);
})();
