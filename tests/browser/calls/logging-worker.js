/** The package's own worker, with a log of what encoders gave it and of the keys that it was given. */
import "./encoder-log.js";
import "./key-log.js";
import "/visit-worker.js";
