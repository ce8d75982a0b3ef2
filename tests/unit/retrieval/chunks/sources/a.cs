namespace A.B
{
    /// <summary>A store.</summary>
    [Serializable]
    public class Store : Base
    {
        public Store() { }

        /// <summary>Finds one.</summary>
        public int Find(string key)
        {
            return Lookup(key).Run();
        }
        private void Hidden() => new Thing();
        public int Count { get; set; }
    }
    public enum E { A }
}
