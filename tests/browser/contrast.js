// Contrast (WCAG 2.2) of each element below a selector that has text of its own, against what is painted behind it.
(selector) => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const luminance = (rgb) => {
    const linear = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const backgrounds = (element) => {
    const own = getComputedStyle(element).backgroundColor;
    return element.parentElement ? [...backgrounds(element.parentElement), own] : ["white", own];
  };
  const measured = [];
  for (const element of document.querySelectorAll(`${selector} *`)) {
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data.trim()).join("");
    if (!text || element.closest("script, style, .unseen") || !element.checkVisibility()) continue;
    const behind = backgrounds(element);
    const [dark, light] = [paint(behind), paint([...behind, getComputedStyle(element).color])].map(luminance).sort((a, b) => a - b);
    measured.push({ text: text.slice(0, 40), tag: element.tagName, contrast: (light + 0.05) / (dark + 0.05) });
  }
  return measured;
};
