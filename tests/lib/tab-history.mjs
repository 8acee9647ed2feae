/** Every address in a tab's history, as the browser keeps it; a page itself sees less. */
export async function tabHistory(browser, page) {
  const session = await browser.context.newCDPSession(page);
  const { entries } = await session.send("Page.getNavigationHistory");
  await session.detach();
  return entries.map(({ url }) => url);
}
