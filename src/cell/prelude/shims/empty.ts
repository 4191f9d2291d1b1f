/** Stands in for modules of Node that are imported but never reached here. */
export default {};
