// The studio's page: panels around the stage. `backend` answers requests: a server, or the page itself.
(() => {
const { Stage, heatColors } = MienStage;
const { button, element, icon, save, slider, toast } = MienWidgets;
const { Timeline } = MienTimeline;
const { Picking } = MienPicking;
const find = (selector) => document.querySelector(selector);
const HEATS = { none: 'Skin', texture: 'Texture of the model', scan: 'Error to the scan', rest: 'Movement from rest', leak: 'Leak: motion far away', models: 'Difference of models' };

class Studio {
  constructor(backend, about) {
    Object.assign(this, { backend, about, portraits: new Map(), appearances: new Map(), queue: [], busy: false, clip: null, playing: false });
    this.stage = new Stage(find('#stage'), about.appearance);
    this.timeline = new Timeline(find('#timeline'), {
      act: (...words) => this.act(...words), seek: (time) => this.seek(time), play: () => this.play(),
      pause: () => this.pause(), speak: (name) => this.labels.get(name) ?? name,
    });
    this.picking = new Picking(this);
    this.buildTools();
    this.buildControls();
    this.buildPeople();
    this.keys();
  }

  // ---- requests: one at a time, and of a drag only the newest value

  act(name, args = {}, merge = '') {
    const last = this.queue.at(-1);
    if (last && merge && last.merge === merge) this.queue.pop();
    this.queue.push({ name, args, merge });
    this.timeline.time = Math.min(this.timeline.time, this.state?.duration ?? 0);
    this.pause();
    this.clip = null;
    return this.pump();
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    while (this.queue.length) {
      const { name, args, merge } = this.queue.shift();
      await this.answered(() => this.backend.act(name, args, merge));
    }
    this.busy = false;
    document.body.dataset.state = 'ready';
  }

  async answered(ask) {
    const began = performance.now();
    const slow = setTimeout(() => document.body.classList.add('working'), 250);
    try {
      const answer = await ask();
      this.latency = performance.now() - began;
      await this.receive(answer);
    } catch (error) {
      this.tell(error);
      if (this.state) this.reflect();
    } finally {
      clearTimeout(slow);
      document.body.classList.remove('working');
    }
  }

  // An answer, with the appearances that it needs, on the page.
  async receive(answer) {
    await this.followSliders(answer.state);
    for (const { appearance } of answer.panes) {
      if (appearance && !this.appearances.has(appearance)) this.appearances.set(appearance, await this.backend.appearance(appearance));
    }
    this.show(answer);
    this.status();
  }

  // A model like a head brings sliders and a chip; undo takes them away.
  async followSliders({ names, models }) {
    const wanted = JSON.stringify([names, models]);
    if (!names || this.sliderKey === wanted) return;
    const first = this.sliderKey === undefined;
    this.sliderKey = wanted;
    if (first && this.sliders.size === names.length && models.length === this.about.models.length) return;
    Object.assign(this.about, await this.backend.sliders());
    this.buildChips();
    this.buildExpressions();
  }

  // A refusal in one sentence, with what helps.
  tell(error) {
    const help = error.helps === 'landmarks' ? { label: 'Pick landmarks', onclick: () => this.picking.open() } : null;
    toast(error.message ?? String(error), error.helps === 'canceled' ? 'note' : 'error', help);
  }

  // What others do (a second window, slow jobs): the server answers when something is new.
  async watch() {
    const pause = (time) => new Promise((done) => { setTimeout(done, time); });
    let [queue, missed] = [-1, 0];
    for (;;) {
      if (document.hidden) await new Promise((done) => { document.addEventListener('visibilitychange', done, { once: true }); });
      try {
        const news = await this.backend.watch(this.state.revision, queue);
        [queue, missed] = [news.queue, 0];
        this.showJobs(news.jobs);
        if (news.revision <= this.state.revision) continue;
        if (this.busy || this.playing || this.queue.length) await pause(this.playing ? 500 : 60);
        else await this.act('refresh');
      } catch (error) {
        missed += 1;
        if (missed === 3) this.tell(error);
        await pause(missed < 3 ? 500 : 5000);
      }
    }
  }

  showJobs(jobs) {
    const list = find('#jobs');
    const now = performance.now();
    list.hidden = !jobs.length;
    list.replaceChildren(...jobs.map(({ number, title, seconds }) => {
      const clock = element('time', {}, seconds === null ? 'waits' : '');
      if (seconds !== null) clock.dataset.began = now - 1000 * seconds;
      return element('li', { class: seconds === null ? '' : 'runs', 'data-job': number }, element('span', { title }, title), clock,
        button('Cancel', { title: `Cancel: ${title}`, onclick: () => this.backend.cancel(number).catch((error) => this.tell(error)) }));
    }));
    this.tick();
  }

  tick() {
    clearTimeout(this.ticking);
    const clocks = document.querySelectorAll('#jobs time[data-began]');
    for (const clock of clocks) clock.textContent = `${Math.floor((performance.now() - clock.dataset.began) / 1000)} s`;
    if (clocks.length) this.ticking = setTimeout(() => this.tick(), 500);
  }

  show({ state, panes }) {
    if (state.revision < this.state?.revision) return; // overtaken by a newer answer
    this.state = state;
    this.panes = panes;
    this.stage.setPanes(panes.length);
    panes.forEach((pane, k) => {
      const heat = pane.heat ? heatColors(pane.heat, this.heatMaximum(panes), this.about.heat_colors) : null;
      this.stage.setAppearance(k, pane.appearance ? this.appearances.get(pane.appearance) : this.about.appearance);
      this.stage.show(k, pane.vertices, heat);
      if (pane.rims) this.stage.faces[k].setEyes(pane.rims);
      if (pane.picture) this.wear(this.stage.faces[k], pane);
    });
    this.overlays();
    if (!this.queue.length) this.reflect();
  }

  // The texture that a model makes, asked for when the person has changed.
  async wear(face, { picture, model }) {
    if (face.picture === picture) return;
    face.picture = picture;
    try {
      const address = await this.backend.texture(model);
      if (face.picture === picture) face.setPicture(address);
    } catch (error) {
      toast(error.message, 'error');
    }
  }

  // One bar for all panes. It grows at once and shrinks only with another map, so that colors can be compared.
  heatMaximum(panes) {
    const most = Math.max(...panes.map((pane) => pane.maximum ?? 0));
    const key = `${this.state.heat} ${this.state.person}`;
    if (this.heatKey !== key) this.heatTop = 0;
    this.heatKey = key;
    this.heatTop = Math.max(this.heatTop ?? 0, most);
    return this.heatTop;
  }

  // ---- the bar

  buildTools() {
    const { models, topology, vertices, can } = this.about; // with heads to load, models may join
    find('#about').textContent = `${vertices.toLocaleString('en')} vertices · ${topology}`;
    this.buildChips();
    this.undo = button('Undo', { icon: 'undo', kind: 'only', title: 'Undo (Ctrl Z)', onclick: () => this.act('undo') });
    this.redo = button('Redo', { icon: 'redo', kind: 'only', title: 'Redo (Ctrl Shift Z)', onclick: () => this.act('redo') });
    this.heat = element('select', { 'aria-label': 'Surface', onchange: () => this.act('set_heat', { kind: this.heat.value }) },
      ...can.heats.filter((kind) => kind !== 'models' || models.length > 1 || can.load)
        .map((kind) => element('option', { value: kind }, HEATS[kind])));
    const views = element('div', { class: 'segments', role: 'group', 'aria-label': 'View' },
      ...[['front', 'Front'], ['turned', '¾'], ['side', 'Side']].map(([view, label]) =>
        element('button', { type: 'button', title: `View: ${label}`, onclick: () => this.stage.view(view) }, label)));
    const menu = element('details', { class: 'menu' }, element('summary', {}, icon('save'), 'Export'),
      element('div', {}, ...can.exports.map(([kind, label, note]) => element('button', { type: 'button', 'data-export': kind,
        onclick: () => { menu.open = false; this.export(kind); } }, label, element('small', {}, note)))));
    document.addEventListener('click', (event) => { if (!menu.contains(event.target)) menu.open = false; });
    find('#tools').append(this.undo, this.redo,
      button('Reset', { icon: 'reset', title: 'All sliders to their start (0)', onclick: () => this.act('reset') }),
      element('label', { class: 'pick' }, this.heat), views,
      button('Picture', { icon: 'camera', title: 'Save a PNG', onclick: () => this.picture() }),
      ...(can.exports.length ? [menu] : []));
  }

  buildChips() {
    const { models } = this.about;
    this.chips = models.map((model, index) => element('button', { type: 'button', class: 'chip',
      title: models.length > 1 ? 'Show or hide' : model.method, onclick: () => this.toggleModel(index) }, model.label));
    find('#models').replaceChildren(...this.chips);
  }

  toggleModel(index) {
    if (this.about.models.length < 2) return;
    const { shown } = this.state;
    const models = shown.includes(index) ? shown.filter((k) => k !== index) : [...shown, index].sort((a, b) => a - b);
    if (models.length) this.act('set_shown', { models });
  }

  async export(kind) {
    try {
      toast('Preparing the file …');
      const { blob, name } = await this.backend.export(kind);
      save(blob, name);
      toast(`Saved ${name}`);
    } catch (error) {
      toast(error.message, 'error');
    }
  }

  picture() {
    const style = getComputedStyle(document.body);
    const canvas = this.stage.picture(['--glow', '--stage-edge'].map((name) => style.getPropertyValue(name).trim()));
    canvas.toBlob((blob) => save(blob, `${this.somebody().name.replaceAll(' ', '_')}.png`), 'image/png');
  }

  // ---- sliders

  buildControls() {
    const { axes, axes_reason: reason, deviations } = this.about;
    this.intensity = slider({ name: 'intensity', label: 'Intensity', min: 0, max: 2, start: 1,
      format: (x) => `${Math.round(100 * x)} %`, oninput: (value) => this.act('set_intensity', { value }, 'intensity') });
    this.buildExpressions();
    this.identity = axes.map(({ name, millimeters }, axis) => slider({
      name: `identity-${axis}`, label: name, note: `${millimeters.toFixed(1)} mm`, min: -deviations, max: deviations, step: 0.05,
      format: (x) => `${x > 0 ? '+' : ''}${x.toFixed(1)} σ`,
      oninput: (value) => this.act('set_identity', { axis, value }, `identity-${axis}`) }));
    find('#identity').append(...this.identity.map(({ row }) => row));
    if (!axes.length) find('#identity').append(element('p', { class: 'hint' }, `No sliders: ${reason}.`));
    find('#reset-expressions').addEventListener('click', () => this.act('set_pose', { pose: {} }));
    find('#sizes').hidden = !this.about.can.sizes;
    find('#sizes').addEventListener('click', () => {
      find('#sizes').setAttribute('aria-pressed', document.body.classList.toggle('sizing'));
    });
    find('#reset-identity').addEventListener('click', () => this.act('reset_identity'));
    find('#reset-identity').hidden = !axes.length;
  }

  buildExpressions() {
    const { groups } = this.about;
    this.labels = new Map(groups.flatMap((group) => group.sliders.map(({ name, label }) => [name, label])));
    this.sliders = new Map();
    const list = find('#expressions');
    list.replaceChildren(this.intensity.row);
    list.append(element('p', { class: 'hint sizes-hint' }, 'How far each expression moves, 0 to 3 times. Export saves them.',
      button('All × 1', { title: 'All sizes to 1', onclick: () => this.act('set_sizes', { sizes: {} }) })));
    const total = this.labels.size;
    if (total > 24) {
      list.append(element('input', { type: 'search', class: 'filter', placeholder: `Find among ${total} expressions`,
        'aria-label': 'Find an expression', oninput: (event) => this.filter(event.target.value) }));
    }
    for (const { title, sliders } of groups) {
      const group = element('section', { class: 'group' }, element('h3', {}, title));
      for (const { name, label } of sliders) {
        const made = slider({ name, label, min: 0, max: 1.5, oninput: (value) => this.act('set_weight', { name, value }, `weight-${name}`) });
        const sized = this.sizedRow(name, label, made);
        this.sliders.set(name, { ...made, ...sized });
        group.append(sized.row);
      }
      list.append(group);
    }
  }

  // A slider with the factor of how far it moves, shown where it is not 1, and to be edited by `Sizes` or a double click on its value.
  sizedRow(name, label, made) {
    if (!this.about.can.sizes) return { row: made.row, size: () => {} };
    const field = element('input', { type: 'number', min: 0, max: 3, step: 0.05, value: 1, 'aria-label': `Size of ${label}`, 'data-size': name,
      onchange: () => this.act('set_size', { name, value: field.value === '' ? 1 : +field.value }),
      onblur: () => row.classList.remove('editing') });
    const row = element('div', { class: 'sized' }, made.row, element('label', { class: 'size', title: `Size of ${label}: 0 to 3 times` }, field));
    made.row.querySelector('output').addEventListener('dblclick', (event) => {
      event.preventDefault();
      row.classList.add('editing');
      field.focus();
      field.select();
    });
    const size = (value) => {
      if (document.activeElement !== field || +field.value !== value) field.value = +value.toFixed(3);
      row.classList.toggle('resized', value !== 1);
    };
    return { row, size };
  }

  filter(text) {
    for (const [name, { row }] of this.sliders) row.hidden = !this.labels.get(name).toLowerCase().includes(text.toLowerCase());
    for (const group of document.querySelectorAll('.group')) group.hidden = !group.querySelector(':scope > :not([hidden], h3)');
  }

  // ---- people

  buildPeople() {
    const { can, limit } = this.about;
    this.cards = new Map();
    const chooser = element('input', { type: 'file', multiple: true, hidden: true, id: 'chooser', accept: '.obj,.ply,.stl,.glb,.vrm,.fbx,.wrl,.vrml,.csv,.tsv,.txt,.json,.jsonl,.mtl,.png,.jpg,.jpeg',
      onchange: () => { this.loadAll([...chooser.files]); chooser.value = ''; } });
    find('#load').hidden = !can.load;
    find('#load').append(chooser, icon('upload'), element('b', {}, 'Drop a mesh here'),
      element('span', {}, 'OBJ, PLY, STL, GLB, VRM, FBX, WRL; a recording as CSV or JSON; or click to choose'));
    find('#load').addEventListener('click', (event) => { if (event.target !== chooser) chooser.click(); });
    find('#load').addEventListener('keydown', (event) => { if (event.key === 'Enter') chooser.click(); });
    find('#random').hidden = !can.random;
    find('#random').append(icon('dice'), 'New person');
    find('#random').addEventListener('click', () => this.act('add_random'));
    this.limit = limit;
    this.performer = find('#performer');
    this.performer.addEventListener('change', () => this.act('set_performer', { key: this.performer.value || null }));
    find('#own').addEventListener('change', (event) => this.act('set_own', { value: event.target.checked }));
    find('#detail').addEventListener('change', (event) => this.act('set_detail', { value: event.target.checked }));
    find('#style').addEventListener('change', (event) => this.act('set_style', { key: event.target.value || null }));
    find('#vary').addEventListener('click', () => this.act('set_variation', { seed: this.state.variation + 1 }));
    find('#vary').hidden = !can.varied;
    find('#mesh').addEventListener('change', (event) => this.act('set_mesh', { value: event.target.checked }));
    find('#rest').addEventListener('change', (event) => this.act('set_rest', { key: this.restOf, rest: event.target.value || null }));
    find('#pick').addEventListener('click', () => this.picking.open(this.state.person));
    find('#measure').addEventListener('click', () => this.measure());
    find('#like').addEventListener('click', () => this.moveLike());
    if (!can.load) return;
    let depth = 0;
    const light = (by) => { depth = Math.max(0, depth + by); document.body.classList.toggle('dropping', depth > 0); };
    window.addEventListener('dragenter', (event) => { event.preventDefault(); light(1); });
    window.addEventListener('dragleave', () => light(-1));
    window.addEventListener('dragover', (event) => event.preventDefault());
    window.addEventListener('drop', (event) => { event.preventDefault(); light(-depth); this.dropped([...event.dataTransfer.files]); });
  }

  dropped(files) {
    if (this.picking.isOpen) files.slice(0, 1).forEach((file) => this.picking.drop(file));
    else this.loadAll(files);
  }

  async loadAll(files) {
    const beside = (file) => /\.(mtl|png|jpe?g)$/i.test(file.name);
    for (const file of [...files].sort((a, b) => beside(b) - beside(a))) { // materials before their meshes
      if (file.size > this.limit) {
        toast(`“${file.name}” is too large: ${(file.size / 1e6).toFixed(0)} MB; the studio takes up to ${this.limit / 1e6} MB.`, 'error');
        continue;
      }
      this.clip = null;
      this.pause();
      const patience = setTimeout(() => toast(`${file.name} has a topology of its own: fitting the model onto it …`), 2500);
      await this.answered(async () => {
        const answer = await this.backend.load(file).finally(() => clearTimeout(patience));
        if (beside(file)) toast(`${file.name} goes onto the meshes that are loaded with it or after it`);
        if (beside(file)) return answer;
        if (answer.told) {
          toast(answer.told);
          return answer;
        }
        const take = /\.(csv|tsv|txt|jsonl?)$/i.test(file.name) ? answer.state.take : null;
        const note = take ? take.notes.join(' ') : answer.state.people.find(({ key }) => key === answer.state.person)?.note;
        toast(note || `Loaded ${file.name}`);
        return answer;
      });
    }
  }

  // What a rig's figures depend on.
  reportKey() {
    const { person, shown, style, identity, intensity, variation, own, detail, people } = this.state;
    return JSON.stringify([person, shown, style, identity, intensity, variation, own, detail, people.find(({ key }) => key === person)?.rest]);
  }

  async measure() {
    const key = this.reportKey();
    const reports = [];
    find('#measure').disabled = true;
    try {
      for (const model of this.state.shown) reports.push(await this.backend.report(model));
      this.reports = { key, reports };
    } catch (error) {
      this.tell(error);
    }
    find('#measure').disabled = false;
    this.showReports();
  }

  // A mark at the sliders whose target leaks or does not close, and what was measured where the pointer rests.
  showReports() {
    const reports = this.reports?.key === this.reportKey() ? this.reports.reports : [];
    const several = reports.length > 1;
    const said = reports.map(({ model, notes }) => `${several ? `${this.about.models[model].label}: ` : ''}${notes.join(' ')}`);
    find('#rig-note').hidden = !reports.length;
    find('#rig-note').textContent = said.join(' ');
    for (const [name, { row }] of this.sliders) {
      const title = row.querySelector('.slider > span, span');
      const lines = reports.map((report) => ({ ...this.measured(report, name), label: this.about.models[report.model].label })).filter(({ text }) => text);
      title.querySelector('.flag')?.remove();
      title.title = [...lines.map(({ text, label }) => (several ? `${label}: ${text}` : text)), 'Double click: back to the start'].join('\n');
      if (lines.some(({ bad }) => bad)) title.append(element('i', { class: 'flag', role: 'img', 'aria-label': 'leaks or does not close' }));
    }
  }

  measured({ targets, lips_mm: lips }, name) {
    const target = targets.find((item) => item.name === name);
    if (!target) return { text: '', bad: false };
    const gaps = Object.entries(target.lid_gap_mm).map(([side, gap]) => [`${side} lids ${Math.max(gap, 0).toFixed(2)} mm apart`, gap]);
    if (name === 'mouthClose' && lips !== null) gaps.push([`lips ${lips.toFixed(2)} mm off over jawOpen`, lips]);
    const far = this.state.sizes?.[name] ?? 1;
    return {
      text: [`moves up to ${(far * target.largest_mm).toFixed(1)} mm`, `${(100 * target.leak).toFixed(1)} % of it far away`, ...gaps.map(([text]) => text)].join(', '),
      bad: target.leak > 0.02 || gaps.some(([, gap]) => gap > 0.3),
    };
  }

  async moveLike() {
    this.pause();
    this.clip = null;
    await this.answered(async () => {
      const answer = await this.backend.like(this.state.person);
      toast(answer.told);
      return answer;
    });
  }

  somebody() {
    return this.state.people.find((person) => person.key === this.state.person);
  }

  people() {
    const { people, person } = this.state;
    const grid = find('#people');
    const known = new Set(people.map(({ key }) => key));
    for (const [key, card] of this.cards) if (!known.has(key)) { card.remove(); this.cards.delete(key); }
    for (const { key, name, kind } of people) {
      if (!this.cards.has(key)) this.cards.set(key, this.card(key, name, kind));
      const card = this.cards.get(key);
      card.classList.toggle('on', key === person);
      card.setAttribute('aria-pressed', key === person);
    }
    const mine = people.filter(({ kind }) => kind === 'loaded'); // one's own heads come first
    const order = [...mine, ...people.filter(({ kind }) => kind !== 'loaded')].map(({ key }) => this.cards.get(key));
    if (order.some((card, k) => grid.children[k] !== card)) grid.replaceChildren(...order);
  }

  card(key, name, kind) {
    const face = element('img', { alt: '', width: 72, height: 72 });
    const card = element('button', { type: 'button', class: `card ${kind}`, title: name, 'data-key': key, onclick: () => this.act('pick', { key }) },
      face, element('span', {}, name));
    if (kind === 'loaded' || kind === 'random') {
      card.append(element('i', { class: 'remove', title: `Remove ${name}`, onclick: (event) => {
        event.stopPropagation();
        this.act('remove_person', { key });
      } }, icon('close')));
    }
    this.sitting = (this.sitting ?? Promise.resolve()).then(async () => {
      try {
        if (!this.portraits.has(key)) this.portraits.set(key, this.stage.portrait(await this.backend.portrait(key)));
        face.src = this.portraits.get(key);
      } catch (error) {
        card.title = error.message;
      }
    });
    return card;
  }

  options(select, people, value, none) {
    const wanted = JSON.stringify([people.map(({ key, name }) => [key, name]), none]);
    if (select.dataset.made !== wanted) {
      select.replaceChildren(element('option', { value: '' }, none),
        ...people.map(({ key, name }) => element('option', { value: key }, name)));
      select.dataset.made = wanted;
    }
    select.value = value ?? '';
  }

  // ---- from the state to the page

  reflect() {
    const { state } = this;
    this.undo.disabled = !state.undo;
    this.redo.disabled = !state.redo;
    for (const [name, { show, size }] of this.sliders) {
      show(state.pose[name] ?? 0);
      size(state.sizes?.[name] ?? 1);
    }
    this.identity.forEach(({ show }, axis) => show(state.identity[axis] ?? 0));
    this.intensity.show(state.intensity);
    this.heat.value = state.heat;
    const person = this.somebody();
    for (const option of this.heat.options) {
      option.disabled = (option.value === 'scan' && person.kind !== 'loaded') || (option.value === 'leak' && !person.foreign);
    }
    for (const option of this.heat.options) option.hidden = option.value === 'models' && state.models?.length < 2;
    this.chips.forEach((chip, index) => {
      chip.classList.toggle('on', state.shown.includes(index));
      chip.hidden = Boolean(state.models) && !state.models.includes(index);
    });
    this.people();
    const loaded = state.people.filter(({ kind }) => kind === 'loaded');
    find('#head').hidden = person.kind !== 'loaded' || !this.about.can.load;
    find('#head-note').textContent = person.note;
    find('#like').hidden = !person.shapes;
    find('#measure').hidden = !person.foreign;
    this.showReports();
    find('#pick').hidden = !this.about.can.pick || person.kind !== 'loaded';
    find('#own').checked = state.own;
    find('#detail').checked = state.detail;
    find('#mesh').checked = state.mesh;
    find('#mesh-row').hidden = !person.foreign;
    find('#borrow').hidden = !this.about.can.load;
    this.performer.disabled = !loaded.length;
    this.options(this.performer, loaded.filter(({ key }) => key !== person.key), state.performer,
      loaded.length ? 'Nobody: the sliders alone' : 'Load an expressive head first');
    find('#styles').hidden = !this.about.can.styles;
    this.options(find('#style'), state.people.filter(({ key }) => key !== person.key), state.style, `${person.name}: their own`);
    const anchored = this.about.models.some((model, index) => model.anchored && state.shown.includes(index));
    this.restOf = state.performer ?? (person.kind === 'loaded' ? person.key : null);
    find('#rest-row').hidden = !anchored || !this.restOf;
    const subject = state.people.find(({ key }) => key === this.restOf);
    this.options(find('#rest'), loaded.filter(({ key }) => key !== this.restOf), subject?.rest, 'not loaded');
    this.timeline.update(state);
  }

  overlays() {
    const { about, panes, state } = this;
    find('#labels').replaceChildren(...panes.map((pane) => element('div', { class: pane.problem ? 'pane problem' : 'pane' },
      ...(about.models.length > 1 || pane.problem ? [element('b', {}, about.models[pane.model].label)] : []),
      ...(pane.mean !== undefined ? [element('span', {}, `mean ${pane.mean.toFixed(2)} mm`)] : []),
      ...(pane.problem ? [element('p', {}, pane.problem)] : []))));
    const heated = panes.some((pane) => pane.heat);
    find('#bar').hidden = !heated;
    if (!heated) return;
    const colors = about.heat_colors.filter((_, k) => k % 15 === 0).map((color) => `rgb(${color})`);
    find('#bar i').style.background = `linear-gradient(to right, ${colors})`;
    find('#bar b').textContent = HEATS[state.heat];
    find('#bar-top').textContent = `${this.heatTop}+ mm`;
  }

  status() {
    find('#status').textContent = this.somebody().name;
    find('#status').title = `${this.latency.toFixed(0)} ms from slider to vertices`;
  }

  // ---- the clip

  moving() {
    return this.state.moves.length > 0 || Boolean(this.state.take);
  }

  async fetchClip() {
    if (this.clip) return this.clip;
    document.body.classList.add('working');
    try {
      this.clip = await this.backend.clip();
    } catch (error) {
      toast(error.message, 'error');
    } finally {
      document.body.classList.remove('working');
    }
    return this.clip;
  }

  showTime(time) {
    const { clip } = this;
    if (!clip) return;
    this.timeline.setTime(time);
    const at = Math.min(time * clip.fps, clip.frames - 1);
    const low = Math.min(Math.floor(at), clip.frames - 2);
    const share = at - low;
    clip.panes.forEach((pane, k) => {
      if (!pane.vertices) return;
      const size = pane.vertices.length / clip.frames;
      if (this.between?.length !== size) this.between = new Float32Array(size);
      const a = low * size;
      for (let i = 0; i < size; i++) {
        this.between[i] = pane.vertices[a + i] + share * (pane.vertices[a + size + i] - pane.vertices[a + i]);
      }
      this.stage.show(k, this.between, null);
    });
  }

  async seek(time) {
    this.pause();
    this.timeline.setTime(time);
    if (!this.moving()) return;
    await this.fetchClip();
    this.showTime(this.timeline.time);
  }

  async play() {
    if (!this.moving() || !(await this.fetchClip())) return;
    this.playing = true;
    this.timeline.setPlaying(true);
    if (this.timeline.time >= this.state.duration - 0.02) this.timeline.time = 0;
    let last = null;
    const tick = (now) => {
      if (!this.playing || !this.clip) return;
      const time = this.timeline.time + (last === null ? 0 : (now - last) / 1000);
      last = now;
      if (time > this.state.duration && !this.timeline.looping) {
        this.showTime(this.state.duration);
        this.pause();
        return;
      }
      this.showTime(time % this.state.duration);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.timeline.setPlaying(false);
  }

  keys() {
    // Another window of the same studio may have gone on meanwhile.
    window.addEventListener('focus', () => { if (this.state && !this.playing) this.act('refresh'); });
    // A click leaves no focus behind: the space bar goes on playing and pausing.
    document.addEventListener('click', (event) => { if (event.detail) event.target.closest?.('button')?.blur(); });
    window.addEventListener('keydown', (event) => {
      if (this.picking.isOpen) return;
      const typing = event.target.matches?.('input[type=number], input[type=search], select, textarea');
      if ((event.ctrlKey || event.metaKey) && !typing) {
        const name = { z: event.shiftKey ? 'redo' : 'undo', y: 'redo' }[event.key.toLowerCase()];
        if (name) { event.preventDefault(); this.act(name); }
      } else if (!typing && event.key === ' ' && !event.target.matches?.('button, summary')) {
        event.preventDefault();
        if (this.playing) this.pause(); else this.play();
      } else if (!typing && event.key === '0') this.act('reset');
    });
  }
}

async function start(backend) {
  try {
    const studio = new Studio(backend, await backend.describe());
    window.studio = studio;
    await studio.act('refresh');
    if (backend.watch) studio.watch();
    document.body.dataset.state = studio.state ? 'ready' : 'failed';
  } catch (error) {
    document.body.dataset.state = 'failed';
    toast(`The studio could not start: ${error.message ?? error}`, 'error');
    throw error;
  }
}

window.MienStudio = { start };
})();
