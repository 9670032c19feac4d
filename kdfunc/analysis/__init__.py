"""Records to tables and figures; never imports TensorFlow."""
