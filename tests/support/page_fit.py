"""Whether a page fits: screens of four sizes, light and dark."""

from tests.support.chromium import Page

__all__ = ["SIZES", "expect_fit"]

SIZES = ((360, 740), (768, 1024), (1280, 800), (1920, 1080))
"""Width and height in pixels: phone, tablet, laptop, desktop."""

# What stands out of the page at the side, or of its card; what is too small for a finger; what cannot be read.
LOOK = """(() => {
  const root = document.documentElement, width = root.clientWidth, found = [];
  const name = (one) => `${one.tagName}#${one.id}.${one.className}`;
  const light = (colour) => {
    const linear = (one) => one <= .03928 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4;
    const [red, green, blue] = colour.map((one) => linear(one / 255));
    return .2126 * red + .7152 * green + .0722 * blue;
  };
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const below = (one) => {
    for (; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  if (root.scrollWidth > width) found.push(`the page is ${root.scrollWidth} px wide`);
  for (const one of document.body.querySelectorAll('*')) {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    if (!box.width || !one.checkVisibility() || one.closest('.hidden, .frame, option, template')) continue;
    if (box.left < -.5 || box.right > width + .5) found.push(`${name(one)} from ${box.left} to ${box.right}`);
    if (one.matches('button, select, input[type=text], input[type=range], summary') && box.height < 44)
      found.push(`${name(one)} is ${box.height} px high`);
    const lines = Number(style.webkitLineClamp);  // NaN for none; what follows the last one shows in any room below it
    if (lines && one.clientHeight > lines * parseFloat(style.lineHeight) + 1)
      found.push(`${name(one)} shows more than its ${lines} lines in ${one.clientHeight} px`);
    if (one.matches('button') && box.width < 44) found.push(`${name(one)} is ${box.width} px wide`);
    const hasText = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || one.disabled) continue;
    const [high, low] = [light(numbers(style.color)), light(below(one))].sort((a, b) => b - a);
    const contrast = (high + .05) / (low + .05);
    if (contrast < 4.5) found.push(`${name(one)} has a contrast of ${contrast.toFixed(2)}`);
  }
  for (const card of document.querySelectorAll('#prompts li'))
    if (card.querySelector('.more').hidden && card.querySelector('.edit').hidden && card.offsetHeight > 64)
      found.push(`the card of ${card.dataset.id} is ${card.offsetHeight} px high`);
  scrollTo(0, root.scrollHeight);
  const bar = document.getElementById('bar'), { top, bottom } = bar.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight || bottom - top > 150) found.push(`the status bar is from ${top} to ${bottom}`);
  const words = document.getElementById('status').getBoundingClientRect();
  if (!bar.contains(document.elementFromPoint(words.x + 2, words.y + 2))) found.push('the status is covered');
  return found;
})()"""


async def expect_fit(page: Page) -> None:
    """Everything is in sight, large enough for a finger, and readable."""
    for width, height in SIZES:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 1000
        )
        for scheme in ("light", "dark"):
            await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            await page.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
            found = await page.evaluate(LOOK)
            assert not found, (width, scheme, found)
            background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            is_dark = sum(int(value) for value in background.strip("rgb()").split(",")) < 200
            assert is_dark == (scheme == "dark"), (width, scheme, background)
