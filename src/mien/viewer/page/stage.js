// Faces in 3D: one canvas, a pane for each model, one camera for all. Knows nothing of models or servers.
(() => {
const {
  BackSide, BufferAttribute, BufferGeometry, Color, DirectionalLight, DoubleSide, DynamicDrawUsage, FrontSide, Group,
  HemisphereLight, Mesh, MeshBasicMaterial, MeshLambertMaterial, MeshPhysicalMaterial, NeutralToneMapping,
  OrbitControls, PCFSoftShadowMap, PerspectiveCamera, PMREMGenerator, RepeatWrapping, RoomEnvironment, Scene,
  ShaderChunk, SphereGeometry, SRGBColorSpace, Texture, Vector3, WebGLRenderer,
} = THREE;

const FIELD_OF_VIEW = 18; // degrees: a portrait lens
const INSIDE = 0x4a2723;
const HOLLOW = 0x2a1412;
const EYE_RADIUS = 12.1; // millimeters
const LID = 0.6; // millimeters between lid and eyeball
const STEEPEST_LID = 9.5; // millimeters from the eye's axis: farther out lies the corner, which may hang over
const VIEWS = { front: [0, 0.02], turned: [-0.62, 0.05], side: [-1.45, 0.02] };
const SLOW = 45; // milliseconds a picture may take before the stage is drawn more simply

// Light wraps around skin and reddens where it fades: light that went in comes out nearby.
function softened(material) {
  material.onBeforeCompile = (shader) => {
    const lights = ShaderChunk.lights_physical_pars_fragment.replace(
      'reflectedLight.directDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );',
      `vec3 wrap = vec3( 0.34, 0.15, 0.10 );
       vec3 soft = clamp( ( dot( geometryNormal, directLight.direction ) + wrap ) / ( 1.0 + wrap ), 0.0, 1.0 );
       reflectedLight.directDiffuse += soft * directLight.color * BRDF_Lambert( material.diffuseColor );`);
    shader.fragmentShader = shader.fragmentShader.replace('#include <lights_physical_pars_fragment>', lights);
  };
  return material;
}

// Smooth normals, written into `out`; vertices and triangles as flat arrays.
function smoothNormals(v, faces, out) {
  out.fill(0);
  for (let i = 0; i < faces.length; i += 3) {
    const a = 3 * faces[i];
    const b = 3 * faces[i + 1];
    const c = 3 * faces[i + 2];
    const ux = v[b] - v[a], uy = v[b + 1] - v[a + 1], uz = v[b + 2] - v[a + 2];
    const wx = v[c] - v[a], wy = v[c + 1] - v[a + 1], wz = v[c + 2] - v[a + 2];
    const x = uy * wz - uz * wy, y = uz * wx - ux * wz, z = ux * wy - uy * wx;
    out[a] += x; out[a + 1] += y; out[a + 2] += z;
    out[b] += x; out[b + 1] += y; out[b + 2] += z;
    out[c] += x; out[c + 1] += y; out[c + 2] += z;
  }
  for (let i = 0; i < out.length; i += 3) {
    const length = Math.hypot(out[i], out[i + 1], out[i + 2]) || 1;
    out[i] /= length; out[i + 1] /= length; out[i + 2] /= length;
  }
}

// A strip from one end of a slit to the other: slits are long and thin, a fan would fold over them.
function strip(loop) {
  const triangles = [];
  let low = 0;
  let high = loop.length - 1;
  while (low < high - 1) {
    triangles.push(loop[low], loop[low + 1], loop[high]);
    low += 1;
    if (low < high - 1) triangles.push(loop[low], loop[high - 1], loop[high]);
    high -= 1;
  }
  return triangles;
}

// An eyeball that looks along +Z: pupil, iris and the white by the angle from its axis.
function eyeball() {
  const geometry = new SphereGeometry(1, 48, 72);
  geometry.rotateX(Math.PI / 2);
  const position = geometry.attributes.position;
  const colors = new Float32Array(3 * position.count);
  const rings = [[0, 0x0b0a0a], [9, 0x0b0a0a], [10.5, 0x5a4128], [17, 0x7b5f3e], [25.5, 0x4a3a2a], [28.5, 0x352a22],
    [31, 0xe9e2da], [60, 0xdfd3c9], [90, 0xc08d80], [180, 0xb07a6e]];
  const color = new Color();
  const other = new Color();
  for (let i = 0; i < position.count; i++) {
    const angle = (Math.acos(Math.max(-1, Math.min(1, position.getZ(i)))) * 180) / Math.PI;
    const k = Math.max(1, rings.findIndex(([end]) => angle <= end));
    const [from, first] = rings[k - 1];
    const [to, second] = rings[k];
    color.set(first).lerp(other.set(second), (angle - from) / (to - from || 1)).toArray(colors, 3 * i);
  }
  geometry.setAttribute('color', new BufferAttribute(colors, 3));
  return new Mesh(geometry, new MeshPhysicalMaterial({
    vertexColors: true, roughness: 0.32, clearcoat: 1, clearcoatRoughness: 0.06, envMapIntensity: 0.9,
  }));
}

// Where an eyeball lies behind the rim of its lids (flat points): center and radius.
function behind(rim) {
  const count = rim.length / 3;
  let x = 0, y = 0, low = Infinity, high = -Infinity;
  for (let i = 0; i < rim.length; i += 3) {
    x += rim[i] / count; y += rim[i + 1] / count;
    low = Math.min(low, rim[i]); high = Math.max(high, rim[i]);
  }
  x = 0.5 * x + 0.25 * (low + high);
  const reach = (EYE_RADIUS + LID) ** 2;
  let z = Infinity;
  for (let i = 0; i < rim.length; i += 3) {
    const away = (rim[i] - x) ** 2 + (rim[i + 1] - y) ** 2;
    if (away < STEEPEST_LID ** 2) z = Math.min(z, rim[i + 2] - Math.sqrt(reach - away));
  }
  return Number.isFinite(z) ? [x, y, z, EYE_RADIUS] : null;
}

// The points around all eyes, one eye after the other.
function rimsOf(appearance, vertices) {
  return Float32Array.from(appearance.eyes.flat().flatMap((i) => [vertices[3 * i], vertices[3 * i + 1], vertices[3 * i + 2]]));
}

// An appearance with pictures draws more vertices than the mesh has: `map` says which each one is, `corners` the triangles,
// `parts` the material of each run of them.
class Face {
  constructor(appearance, redraw) {
    this.appearance = appearance;
    this.redraw = redraw;
    const count = appearance.map ? appearance.map.length : appearance.template.length / 3;
    this.geometry = new BufferGeometry();
    for (const name of ['position', 'normal', 'color']) {
      this.geometry.setAttribute(name, new BufferAttribute(new Float32Array(3 * count), 3).setUsage(DynamicDrawUsage));
    }
    this.geometry.setIndex(new BufferAttribute(appearance.corners ?? appearance.faces, 1));
    if (appearance.uv) this.geometry.setAttribute('uv', new BufferAttribute(appearance.uv, 2));
    this.normals = appearance.map ? new Float32Array(appearance.template.length) : null;
    this.skinColors = this.paintSkin();
    this.materials = (appearance.parts ?? [{ opacity: 1 }]).map(({ opacity }) => softened(new MeshPhysicalMaterial({
      vertexColors: true, roughness: 0.5, clearcoat: 0.12, clearcoatRoughness: 0.42, side: FrontSide,
      shadowSide: FrontSide, envMapIntensity: 0.55, specularIntensity: 0.75, transparent: opacity < 1, opacity,
      depthWrite: opacity === 1, visible: opacity > 0,
    })));
    let first = 0;
    (appearance.parts ?? []).forEach(({ triangles, picture }, k) => {
      this.geometry.addGroup(3 * first, 3 * triangles, k);
      first += triangles;
      if (picture) this.setPicture(picture, k);
    });
    this.group = new Group();
    this.skin = new Mesh(this.geometry, appearance.parts ? this.materials : this.materials[0]);
    this.skin.castShadow = this.skin.receiveShadow = true;
    const hollow = (appearance.parts ?? [{ opacity: 1 }]).map(({ opacity }) => new MeshBasicMaterial({
      color: INSIDE, side: BackSide, polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 4, visible: opacity === 1,
    }));
    const inside = new Mesh(this.geometry, appearance.parts ? hollow : hollow[0]);
    this.group.add(this.skin, inside, this.caps());
    this.eyes = appearance.eyes.map(() => eyeball());
    if (this.eyes.length) this.group.add(...this.eyes);
    this.group.traverse((item) => { item.frustumCulled = false; });
    this.show(appearance.template, null);
    this.setEyes(rimsOf(appearance, appearance.template));
  }

  dispose() {
    this.group.traverse((item) => { item.geometry?.dispose(); [item.material ?? []].flat().forEach((one) => one.dispose()); });
    this.materials.forEach((material) => material.userData.picture?.dispose());
  }

  // A picture for the material of a part, by its address; it shows when it has been read.
  setPicture(address, part = 0) {
    const image = new Image();
    this.wanted = address;
    image.onload = () => {
      if (part === 0 && this.wanted !== address && this.appearance.parts.length === 1) return; // a newer one is on its way
      const picture = new Texture(image);
      picture.colorSpace = SRGBColorSpace;
      picture.wrapS = picture.wrapT = RepeatWrapping;
      picture.anisotropy = 8;
      picture.needsUpdate = true;
      const material = this.materials[part];
      material.userData.picture?.dispose();
      material.userData.picture = picture;
      material.map = this.heated ? null : picture;
      material.needsUpdate = true;
      this.redraw?.();
    };
    image.src = address;
  }

  // A cheaper skin, for processors that draw without help.
  simplify() {
    if (this.simple) return;
    this.simple = true;
    this.materials = this.materials.map(({ opacity, transparent, depthWrite, visible, map, userData }) => {
      const plain = new MeshLambertMaterial({ vertexColors: true, side: FrontSide, opacity, transparent, depthWrite, visible, map });
      plain.userData = userData;
      return plain;
    });
    this.skin.material = this.appearance.parts ? this.materials : this.materials[0];
    this.skin.receiveShadow = false;
  }

  paintSkin() {
    const { colors, shade, map, tints } = this.appearance;
    const linear = new Float32Array(map ? 3 * map.length : colors.length);
    const color = new Color();
    for (let i = 0; i < linear.length / 3; i++) {
      const at = map ? map[i] : i;
      const tinted = tints && tints[3 * i] >= 0; // a material of its own: teeth, eyes, cloth
      const [from, k] = tinted ? [tints, i] : [colors, at];
      color.setRGB(from[3 * k] / 255, from[3 * k + 1] / 255, from[3 * k + 2] / 255, SRGBColorSpace);
      if (tinted) {
        color.multiplyScalar(shade[at] ** 0.4).toArray(linear, 3 * i);
        continue;
      }
      const open = shade[at]; // hidden places are darker, and redder
      linear[3 * i] = color.r * open ** 0.75; linear[3 * i + 1] = color.g * open ** 1.2;
      linear[3 * i + 2] = color.b * open ** 1.25;
    }
    return linear;
  }

  caps() {
    const caps = new BufferGeometry();
    caps.setAttribute('position', this.geometry.attributes.position);
    caps.setIndex(this.appearance.mouth.flatMap(strip));
    return new Mesh(caps, new MeshBasicMaterial({
      color: HOLLOW, side: DoubleSide, polygonOffset: true, polygonOffsetFactor: 2, polygonOffsetUnits: 2,
    }));
  }

  // Vertices as a flat array; colors as sRGB bytes of a heat map, or null for skin.
  show(vertices, heat) {
    const { position, normal, color } = this.geometry.attributes;
    const { map } = this.appearance;
    smoothNormals(vertices, this.appearance.faces, this.normals ?? normal.array);
    if (map) {
      for (let i = 0; i < map.length; i++) {
        for (let k = 0; k < 3; k++) {
          position.array[3 * i + k] = vertices[3 * map[i] + k];
          normal.array[3 * i + k] = this.normals[3 * map[i] + k];
        }
      }
    } else position.array.set(vertices);
    position.needsUpdate = normal.needsUpdate = true;
    if (heat || this.heated || !this.painted) {
      if (heat && map) {
        for (let i = 0; i < map.length; i++) for (let k = 0; k < 3; k++) color.array[3 * i + k] = heat[3 * map[i] + k];
      } else color.array.set(heat ?? this.skinColors);
      color.needsUpdate = true;
    }
    if (Boolean(heat) !== Boolean(this.heated)) this.undress(Boolean(heat));
    this.heated = Boolean(heat);
    this.painted = true;
    if (this.simple) return;
    for (const material of this.materials) {
      material.roughness = heat ? 0.9 : 0.5;
      material.clearcoat = heat ? 0 : 0.12;
    }
  }

  // Pictures come off under a heat map.
  undress(bare) {
    for (const material of this.materials) {
      if (!material.userData.picture) continue;
      material.map = bare ? null : material.userData.picture;
      material.needsUpdate = true;
    }
  }

  // Eyeballs follow the rims of the face at rest: lids close over them.
  setEyes(rims) {
    let at = 0;
    this.eyes.forEach((eye, k) => {
      const place = behind(rims.subarray(at, (at += 3 * this.appearance.eyes[k].length)));
      eye.visible = Boolean(place);
      if (!place) return;
      eye.position.set(place[0], place[1], place[2]);
      eye.scale.setScalar(place[3]);
      eye.rotation.y = -0.045 * Math.sign(place[0]); // both appearance at somebody some meters away
    });
  }
}

// Key from the upper left with a shadow, cool fill, warm bounce, rim from behind.
function lights(scene, center, span, full) {
  scene.add(new HemisphereLight(0xf4f6ff, 0xb9a091, full ? 0.62 : 1.8)); // without a room the sky is brighter
  for (const [color, power, x, y, z] of [
    [0xfff0df, 2.35, -0.62, 0.66, 0.72], [0xd9e5ff, 0.55, 0.85, 0.1, 0.6], [0xffffff, 1.5, 0.75, 0.45, -0.75],
    [0xffe2cf, 0.9, -0.85, 0.3, -0.6],
  ]) {
    const light = new DirectionalLight(color, power);
    light.position.set(x, y, z).multiplyScalar(2 * span).add(center);
    light.target.position.copy(center);
    if (full || z > 0) scene.add(light, light.target);
    if (power < 2 || !full) continue;
    light.castShadow = true;
    light.shadow.mapSize.set(2048, 2048);
    light.shadow.normalBias = 0.006 * span;
    light.shadow.radius = 9;
    light.shadow.intensity = 0.42;
    const { camera } = light.shadow;
    camera.left = camera.bottom = -0.75 * span;
    camera.right = camera.top = 0.75 * span;
    camera.near = 0.5 * span;
    camera.far = 4 * span;
  }
}

// Whether pictures are drawn by the processor: remote desktops, virtual machines, continuous integration.
// `quality=full` or `quality=simple` in the address decides otherwise.
const wish = new URLSearchParams(window.location.search).get('quality');

function isSoftware() {
  if (wish) return wish === 'simple';
  const context = document.createElement('canvas').getContext('webgl2');
  const known = context?.getExtension('WEBGL_debug_renderer_info');
  const name = known ? context.getParameter(known.UNMASKED_RENDERER_WEBGL) : '';
  context?.getExtension('WEBGL_lose_context')?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

function madeRenderer(options) {
  const renderer = new WebGLRenderer({ antialias: true, ...options });
  renderer.outputColorSpace = SRGBColorSpace;
  renderer.toneMapping = NeutralToneMapping;
  renderer.toneMappingExposure = 1.06;
  return renderer;
}

// Lowest and highest coordinates of the points above a height.
function box(points, above) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 3) {
    if (points[i + 1] < above) continue;
    for (let k = 0; k < 3; k++) {
      low[k] = Math.min(low[k], points[i + k]);
      high[k] = Math.max(high[k], points[i + k]);
    }
  }
  return [low, high];
}

class Stage {
  constructor(container, appearance) {
    this.container = container;
    this.appearance = appearance;
    this.faces = [];
    this.seen = new Set([appearance]);
    this.frames = 0;
    this.scene = new Scene();
    this.simple = isSoftware();
    this.tired = 0;
    this.renderer = madeRenderer({ alpha: true, antialias: !this.simple });
    this.renderer.setPixelRatio(this.simple ? 1 : Math.min(window.devicePixelRatio, 2));
    this.renderer.shadowMap.enabled = !this.simple;
    this.renderer.shadowMap.type = PCFSoftShadowMap;
    container.append(this.renderer.domElement);
    if (!this.simple) {
      const room = new PMREMGenerator(this.renderer);
      this.scene.environment = room.fromScene(new RoomEnvironment(), 0.04).texture;
      this.scene.environmentIntensity = 0.42;
    }
    this.frameCamera();
    lights(this.scene, this.center, this.span, !this.simple);
    this.setPanes(1);
    new ResizeObserver(() => this.resize()).observe(container);
    this.resize();
  }

  frameCamera() {
    const [low, high] = box(this.appearance.template, -Infinity);
    this.chin = low[1];
    const size = high.map((value, k) => value - low[k]);
    this.span = 1.3 * Math.max(size[0], size[1]);
    this.wide = 1.25 * size[0];
    // Jaws drop and foreheads do not rise: a little room below.
    this.center = new Vector3((low[0] + high[0]) / 2, (low[1] + high[1]) / 2 - 0.03 * size[1], (low[2] + high[2]) / 2);
    this.camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, this.span / 50, this.span * 50);
    this.controls = new OrbitControls(this.camera, this.renderer.domElement);
    this.controls.minDistance = this.span * 0.5;
    this.controls.maxDistance = this.span * 10;
    this.controls.addEventListener('change', () => this.draw());
    this.view('front');
  }

  view(name) {
    const [yaw, pitch] = VIEWS[name];
    const distance = this.span / (2 * Math.tan((FIELD_OF_VIEW * Math.PI) / 360));
    this.controls.target.copy(this.center);
    this.camera.position.set(Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch))
      .multiplyScalar(distance).add(this.center);
    this.controls.update();
    this.draw();
  }

  setPanes(count) {
    while (this.faces.length < count) {
      const face = new Face(this.appearance, () => this.draw());
      if (this.simple) face.simplify();
      this.faces.push(face);
      this.scene.add(face.group);
    }
    this.panes = count;
    this.resize();
  }

  // What a pane shows from now on: the model's mesh, or a head's own.
  setAppearance(pane, appearance) {
    if (this.faces[pane].appearance === appearance) return;
    this.scene.remove(this.faces[pane].group);
    this.faces[pane].dispose();
    this.faces[pane] = new Face(appearance, () => this.draw());
    this.stepBack(appearance);
    if (this.simple) this.faces[pane].simplify();
    this.scene.add(this.faces[pane].group);
  }

  // The first time that a head of its own is seen, all of it down to the chin is in the picture.
  stepBack(appearance) {
    if (this.seen.has(appearance)) return;
    this.seen.add(appearance);
    const [low, high] = box(appearance.template, this.chin);
    const height = 1.3 * (high[1] - low[1]);
    if (!(height > this.span)) return;
    this.camera.position.sub(this.controls.target).multiplyScalar(height / this.span);
    this.controls.target.y = Math.max(this.controls.target.y, (low[1] + high[1]) / 2 - 0.03 * height);
    this.camera.position.add(this.controls.target);
    this.controls.update();
  }

  show(pane, vertices, heat) {
    this.faces[pane].hidden = !vertices;
    if (vertices) this.faces[pane].show(vertices, heat);
    this.draw();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.container;
    if (!width || !height) return;
    this.width = width;
    this.height = height;
    this.renderer.setSize(width, height);
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      const began = performance.now();
      this.render();
      if (this.frames < 12 && !this.simple && !wish) this.adapt(began);
    });
  }

  // Without a graphics processor the soft shadow and the fine pixels go, and motion stays.
  adapt(began) {
    const context = this.renderer.getContext();
    context.readPixels(0, 0, 1, 1, context.RGBA, context.UNSIGNED_BYTE, new Uint8Array(4)); // waits for the drawing
    this.tired += performance.now() - began > SLOW ? 1 : 0;
    if (this.tired < 3) return;
    this.simple = true;
    this.renderer.shadowMap.enabled = false;
    this.renderer.setPixelRatio(1);
    this.faces.forEach((face) => face.simplify());
    this.draw();
  }

  // All panes now, left to right.
  render() {
    const { renderer, width, height } = this;
    if (!width || !this.faces.length) return;
    const column = Math.ceil(width / this.panes); // whole pixels: no seam keeps what was there before
    this.camera.aspect = column / height;
    // A narrow column would cut faces at the sides: widen the view instead.
    const fit = Math.max(1, this.wide / this.span / (column / height));
    this.camera.fov = (360 / Math.PI) * Math.atan(Math.tan((FIELD_OF_VIEW * Math.PI) / 360) * fit);
    this.camera.updateProjectionMatrix();
    renderer.setScissorTest(false);
    renderer.setViewport(0, 0, width, height);
    renderer.clear();
    renderer.setScissorTest(this.panes > 1);
    for (let k = 0; k < this.panes; k++) {
      this.faces.forEach((face, i) => { face.group.visible = i === k && !face.hidden; });
      renderer.setViewport(k * column, 0, column, height);
      renderer.setScissor(k * column, 0, column, height);
      renderer.render(this.scene, this.camera);
    }
    this.frames += 1;
  }

  // A picture of what is shown, at twice the size of the screen, on a background.
  picture(background, scale = 2) {
    const ratio = this.renderer.getPixelRatio();
    this.renderer.setPixelRatio(scale);
    this.render();
    const canvas = document.createElement('canvas');
    canvas.width = this.renderer.domElement.width;
    canvas.height = this.renderer.domElement.height;
    const context = canvas.getContext('2d');
    const { width, height } = canvas;
    const glow = context.createRadialGradient(width / 2, 0.4 * height, 0, width / 2, 0.4 * height, 0.75 * height);
    background.forEach((color, k) => glow.addColorStop(k / (background.length - 1), color));
    context.fillStyle = glow;
    context.fillRect(0, 0, width, height);
    context.drawImage(this.renderer.domElement, 0, 0);
    this.renderer.setPixelRatio(ratio);
    this.render();
    return canvas;
  }

  // A small picture of somebody, by a renderer of its own: the stage is left alone.
  portrait(vertices, size = 144) {
    if (!this.studio) {
      const renderer = madeRenderer({ alpha: true });
      renderer.setSize(size, size, false);
      const scene = new Scene();
      const sitter = new Face(this.appearance, () => this.draw());
      lights(scene, this.center, this.span, false);
      sitter.simplify();
      scene.add(sitter.group);
      const camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, this.span / 50, this.span * 50);
      const distance = (0.93 * this.span) / (2 * Math.tan((FIELD_OF_VIEW * Math.PI) / 360));
      camera.position.set(-0.3, 0.04, 0.95).normalize().multiplyScalar(distance).add(this.center);
      camera.lookAt(this.center);
      this.studio = { renderer, scene, sitter, camera };
    }
    const { renderer, scene, sitter, camera } = this.studio;
    sitter.show(vertices, null);
    sitter.setEyes(rimsOf(this.appearance, vertices));
    renderer.render(scene, camera);
    return renderer.domElement.toDataURL('image/png');
  }
}

// Millimeters to linear colors of a heat map.
function heatColors(values, maximum, table) {
  const out = new Float32Array(3 * values.length);
  const linear = table.map((row) => new Color().setRGB(row[0] / 255, row[1] / 255, row[2] / 255, SRGBColorSpace));
  for (let i = 0; i < values.length; i++) {
    linear[Math.min(255, Math.max(0, Math.round((255 * values[i]) / maximum)))].toArray(out, 3 * i);
  }
  return out;
}

window.MienStage = { Stage, heatColors, rimsOf, smoothNormals };
})();
