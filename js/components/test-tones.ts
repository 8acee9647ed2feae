/** The speaker's test; loaded by who presses its button. */

/** Two tones, a fifth apart, on the chosen speaker. */
export async function playTestTones(speakerId: string): Promise<void> {
  const context = new AudioContext();
  try {
    if (speakerId !== "" && "setSinkId" in context)
      await (context as AudioContext & { setSinkId(id: string): Promise<void> }).setSinkId(speakerId);
    for (const [index, hertz] of [440, 660].entries()) {
      const tone = new OscillatorNode(context, { frequency: hertz });
      tone.connect(new GainNode(context, { gain: 0.2 })).connect(context.destination);
      tone.start(context.currentTime + index * 0.5);
      tone.stop(context.currentTime + index * 0.5 + 0.4);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  } finally {
    await context.close();
  }
}
